"""The fused Swin backbone: several images in one pass, as one sequence of tokens.

The full and the half-size image have the same weights, so their tokens are concatenated for every linear
layer; only the window partition distinguishes maps. Padding never enters a matrix product.
"""

from collections.abc import Iterable
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from worker.birefnet import swin as plain
from worker.birefnet.fused.window_partition import Sizes, WindowPlan, plan_merge, plan_windows

# Tokens per MLP call on a CPU: few enough for four times their channels to stay in its cache.
MLP_TOKENS = 1024


class WindowAttention(nn.Module):
    """(Shifted) window attention, with the relative position bias looked up once."""

    bias: Tensor  # (1, heads, N, N)
    masks: Tensor  # (3, 1, 1, N, N): -inf between tokens that were not neighbours before the cyclic shift

    def __init__(self, attention: plain.WindowAttention, window: int) -> None:
        super().__init__()
        self.heads = attention.heads
        self.qkv, self.proj = attention.qkv, attention.proj
        bias = attention.bias()[None]
        masks = plain.edge_masks(window, window // 2, bias.device)
        self.register_buffer("bias", bias)
        self.register_buffer("masks", torch.stack(masks)[:, None, None].to(bias.dtype))

    def forward(self, x: Tensor, plan: WindowPlan) -> Tensor:
        """Map normalised tokens, (B, L, C), to the same shape."""
        batch, _, channels = x.shape
        tokens_per_window = self.bias.shape[-1]
        qkv = self.qkv(x).index_select(1, plan.slots)
        if len(plan.padding):
            zero_token = self.qkv.bias.expand(batch, len(plan.padding), -1)
            qkv.index_copy_(1, plan.padding, zero_token)
        windows = qkv.view(batch, -1, tokens_per_window, 3, self.heads, channels // self.heads)
        attended = []
        for kind, selected in enumerate(plan.kinds):
            if selected.stop > selected.start:
                q, k, v = windows[:, selected].flatten(0, 1).permute(2, 0, 3, 1, 4).unbind()
                bias = self.bias if kind == 0 else self.bias + self.masks[kind - 1]
                out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
                attended.append(out.transpose(1, 2).reshape(batch, -1, channels))
        tokens = attended[0] if len(attended) == 1 else torch.cat(attended, 1)
        return self.proj(tokens.index_select(1, plan.tokens))


class SwinBlock(nn.Module):
    """A Swin block: (shifted) window attention and an MLP with layer norms, added to the tokens in place."""

    def __init__(self, block: plain.SwinBlock) -> None:
        super().__init__()
        self.window, self.shift = block.window, block.shift
        self.norm1, self.norm2, self.mlp = block.norm1, block.norm2, block.mlp
        self.attn = WindowAttention(block.attn, block.window)

    def forward(self, x: Tensor, sizes: Sizes) -> Tensor:
        """Update (B, L, C) in place, and return it."""
        x += self.attn(self.norm1(x), plan_windows(sizes, self.window, self.shift, x.device))
        for part in torch.split(x, MLP_TOKENS if x.device.type == "cpu" else x.shape[1], 1):
            part.add_(self.mlp(self.norm2(part)))
        return x


class PatchMerging(nn.Module):
    """Patch merging: halves the maps' sides and doubles the channels between two stages."""

    def __init__(self, merging: plain.PatchMerging) -> None:
        super().__init__()
        self.norm, self.reduction = merging.norm, merging.reduction

    def forward(self, x: Tensor, sizes: Sizes) -> tuple[Tensor, Sizes]:
        """Map (B, L, C) to (B, L', 2C), and return it with the maps' new sizes."""
        tokens, padding, merged = plan_merge(sizes, x.device)
        quarters = x.index_select(1, tokens)
        if len(padding):
            quarters[:, padding] = 0
        return self.reduction(self.norm(quarters.view(len(x), -1, 4 * x.shape[2]))), merged


class SwinTransformer(nn.Module):
    """The backbone, derived from a plain one, whose weights it shares."""

    def __init__(self, backbone: plain.SwinTransformer) -> None:
        super().__init__()
        self.patch_embed = backbone.patch_embed
        self.stages = nn.ModuleList()
        self.merges = nn.ModuleList()
        self.norms = nn.ModuleList()
        for number, stage in enumerate(cast("Iterable[plain.Stage]", backbone.layers)):
            blocks = cast("Iterable[plain.SwinBlock]", stage.blocks)
            self.stages.append(nn.ModuleList(SwinBlock(block) for block in blocks))
            if stage.downsample is not None:
                self.merges.append(PatchMerging(stage.downsample))
            self.norms.append(backbone.get_submodule(f"norm{number}"))

    def forward(self, *images: Tensor) -> list[list[Tensor]]:
        """Map images, (B, 3, H, W) each, to four maps each: (B, C_i, H_i, W_i), channels last."""
        embedded = [self.patch_embed(image) for image in images]
        sizes: Sizes = tuple((tokens.shape[1], tokens.shape[2]) for tokens in embedded)
        x = torch.cat([tokens.flatten(1, 2) for tokens in embedded], 1)
        outputs = []
        for number, (blocks, norm) in enumerate(zip(self.stages, self.norms, strict=True)):
            for block in blocks.children():
                x = block(x, sizes)
            outputs.append(_split_maps(norm(x), sizes))
            if number < len(self.merges):
                x, sizes = self.merges[number](x, sizes)
        return [list(maps) for maps in zip(*outputs, strict=True)]


def _split_maps(x: Tensor, sizes: Sizes) -> list[Tensor]:
    """Split (B, L, C) into maps, (B, C, H, W) each."""
    parts = torch.split(x, [height * width for height, width in sizes], 1)
    return [
        part.view(len(part), *size, -1).permute(0, 3, 1, 2) for part, size in zip(parts, sizes, strict=True)
    ]
