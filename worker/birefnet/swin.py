"""The backbone: Swin Transformer v1 with shifted window attention, channels last.

Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", 2021.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812  # its name everywhere
from torch import Tensor, nn

from worker.birefnet.config import Backbone


class WindowLayout(NamedTuple):
    """The window partition of a (H, W) map: its padded size, and the attention masks of the wrapped edges."""

    height: int
    width: int
    masks: tuple[Tensor, Tensor, Tensor] | None  # bottom row, right column, corner; (N, N) each


def relative_position_index(window: int) -> Tensor:
    """Return the row in the relative position bias table of each pair of N = window² tokens: (N, N) int64."""
    axis = torch.arange(window)
    rows, columns = (grid.flatten() for grid in torch.meshgrid(axis, axis, indexing="ij"))
    delta_row = rows[:, None] - rows[None] + window - 1
    delta_column = columns[:, None] - columns[None] + window - 1
    return delta_row * (2 * window - 1) + delta_column


def edge_masks(window: int, shift: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return the (N, N) attention masks of windows at the shifted map's bottom, right, and corner.

    -inf between tokens that were not neighbours before the cyclic shift. Other windows need no mask.
    """
    wrapped = torch.arange(window, device=device) >= window - shift
    by_row = wrapped[:, None].expand(window, window).flatten()
    by_column = wrapped[None, :].expand(window, window).flatten()
    rows_differ = by_row[:, None] != by_row[None]
    columns_differ = by_column[:, None] != by_column[None]

    def mask(differ: Tensor) -> Tensor:
        return torch.zeros(differ.shape, device=device).masked_fill(differ, float("-inf"))

    return mask(rows_differ), mask(columns_differ), mask(rows_differ | columns_differ)


class WindowAttention(nn.Module):
    """Window attention: multi-head self-attention in each window, with a relative position bias."""

    relative_position_index: Tensor

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * window - 1) ** 2, heads))
        self.register_buffer("relative_position_index", relative_position_index(window))

    def bias(self) -> Tensor:
        """Return the attention bias, (heads, N, N)."""
        return self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1).contiguous()

    def forward(self, windows: Tensor, masks: tuple[Tensor, Tensor, Tensor] | None) -> Tensor:
        """Attend within `windows`, (B, rows, columns, N, C), and return the same shape."""
        batch, rows, columns, tokens, channels = windows.shape
        qkv = self.qkv(windows).view(batch * rows * columns, tokens, 3, self.heads, channels // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind()  # (windows, heads, N, head_dim) each
        bias = self.bias()
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias[None])
        if masks is not None:
            # Few windows are at the wrapped edges: computing them twice is cheaper than masking all.
            numbers = torch.arange(batch * rows * columns, device=out.device).view(batch, rows, columns)
            edges = (numbers[:, -1, :-1], numbers[:, :-1, -1], numbers[:, -1, -1])
            for mask, selected in zip(masks, (edge.flatten() for edge in edges), strict=True):
                if len(selected):
                    out[selected] = F.scaled_dot_product_attention(
                        q[selected], k[selected], v[selected], attn_mask=(bias + mask.to(bias.dtype))[None]
                    )
        return self.proj(out.transpose(1, 2).reshape(windows.shape))


class Mlp(nn.Module):
    """The MLP of a Swin block: two linear layers with a GELU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, 4 * channels)
        self.fc2 = nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., C) to (..., C)."""
        return self.fc2(F.gelu(self.fc1(x)))


class SwinBlock(nn.Module):
    """A Swin block: (shifted) window attention and an MLP, each with layer norm and residual."""

    def __init__(self, channels: int, heads: int, window: int, *, shifted: bool) -> None:
        super().__init__()
        self.window = window
        self.shift = window // 2 if shifted else 0
        self.norm1 = nn.LayerNorm(channels)
        self.attn = WindowAttention(channels, heads, window)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = Mlp(channels)

    def forward(self, x: Tensor, layout: WindowLayout) -> Tensor:
        """Map (B, H, W, C) to the same shape."""
        batch, height, width, channels = x.shape
        w = self.window
        tokens = F.pad(self.norm1(x), (0, 0, 0, layout.width - width, 0, layout.height - height))
        if self.shift:
            tokens = tokens.roll((-self.shift, -self.shift), (1, 2))
        rows, columns = layout.height // w, layout.width // w
        windows = tokens.view(batch, rows, w, columns, w, channels).transpose(2, 3)
        attended = self.attn(
            windows.reshape(batch, rows, columns, w * w, channels), layout.masks if self.shift else None
        )
        tokens = attended.view(batch, rows, columns, w, w, channels).transpose(2, 3)
        tokens = tokens.reshape(batch, layout.height, layout.width, channels)
        if self.shift:
            tokens = tokens.roll((self.shift, self.shift), (1, 2))
        x = x + tokens[:, :height, :width]
        return x + self.mlp(self.norm2(x))


class PatchMerging(nn.Module):
    """Patch merging: halves the map's sides and doubles its channels between two stages."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * channels)
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, ⌈H/2⌉, ⌈W/2⌉, 2C)."""
        x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        quarters = [x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]]
        return self.reduction(self.norm(torch.cat(quarters, -1)))


class Stage(nn.Module):
    """One stage: the Swin blocks at one resolution, and the patch merging to the next."""

    def __init__(self, channels: int, depth: int, heads: int, window: int, *, last: bool) -> None:
        super().__init__()
        self.window = window
        self.blocks = nn.ModuleList(
            SwinBlock(channels, heads, window, shifted=bool(number % 2)) for number in range(depth)
        )
        self.downsample = None if last else PatchMerging(channels)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, H, W, C) to the same shape, and to the next stage's input."""
        w = self.window
        height, width = (-(-side // w) * w for side in x.shape[1:3])
        layout = WindowLayout(height, width, edge_masks(w, w // 2, x.device))
        for block in self.blocks:
            x = block(x, layout)
        return x, x if self.downsample is None else self.downsample(x)


class PatchEmbed(nn.Module):
    """Patch embedding: projects every 4 x 4 pixels to one token."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, channels, 4, stride=4)
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 3, H, W) to (B, H/4, W/4, C)."""
        return self.norm(self.proj(x).permute(0, 2, 3, 1))


class SwinTransformer(nn.Module):
    """The backbone: patch embedding, four stages, and a layer norm for each output."""

    def __init__(self, config: Backbone) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(config.embed_dim)
        self.layers = nn.ModuleList(
            Stage(channels, depth, heads, config.window, last=number == 3)
            for number, (channels, depth, heads) in enumerate(
                zip(config.channels, config.depths, config.heads, strict=True)
            )
        )
        for number, channels in enumerate(config.channels):
            self.add_module(f"norm{number}", nn.LayerNorm(channels))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map (B, 3, H, W) to four maps, (B, C_i, H_i, W_i) at strides 4, 8, 16 and 32."""
        outputs = []
        x = self.patch_embed(x)
        for number, stage in enumerate(self.layers):
            done, x = stage(x)
            outputs.append(self.get_submodule(f"norm{number}")(done).permute(0, 3, 1, 2))
        return outputs
