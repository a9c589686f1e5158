"""The fused decoder: fewer and narrower feature maps, of which only the logits have the full size."""

import math
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from worker.birefnet import blocks as plain
from worker.birefnet.blocks import resize
from worker.birefnet.decoder import Decoder as PlainDecoder
from worker.birefnet.fused.folding import (
    Convolution,
    as_conv,
    fold_batchnorm,
    fold_projection,
    frozen_parameter,
)
from worker.birefnet.fused.fused_aspp import AsppDeformable


class BasicDecBlk(nn.Module):
    """The decoder's block on several maps: sums a convolution of each instead of concatenating them."""

    def __init__(self, block: plain.BasicDecBlk, widths: list[int] | None = None) -> None:
        super().__init__()
        conv_in = fold_batchnorm(block.conv_in, block.bn_in)
        zero_bias = torch.zeros_like(conv_in.bias)
        self.convs_in = nn.ModuleList(
            Convolution(weight, zero_bias if number else conv_in.bias)
            for number, weight in enumerate(torch.split(conv_in.weight, widths or conv_in.in_channels, 1))
        )
        self.dec_att = AsppDeformable(block.dec_att)
        self.conv_out = fold_batchnorm(block.conv_out, block.bn_out)

    def forward(self, *parts: Tensor) -> Tensor:
        """Map parts, (B, C_i, H, W) each, which the plain block takes concatenated, to (B, C_out, H, W)."""
        x = self.convs_in[0](parts[0])
        for conv, part in zip(self.convs_in[1:], parts[1:], strict=True):
            x += conv(part)
        return self.conv_out(self.dec_att(F.relu_(x)))


class ImagePatches(nn.Module):
    """The input image at a stage's size: split into tiles stacked along channels, then two convolutions."""

    def __init__(self, block: plain.SimpleConvs) -> None:
        super().__init__()
        self.grid = math.isqrt(block.conv1.in_channels // 3)
        self.conv1, self.conv_out = as_conv(block.conv1), as_conv(block.conv_out)

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 3, H, W) to (B, C, H/grid, W/grid)."""
        batch, channels, height, width = image.shape
        high, wide = height // self.grid, width // self.grid
        tiled = image.view(batch, channels, self.grid, high, self.grid, wide)
        tiles = tiled.permute(0, 3, 5, 1, 2, 4).reshape(batch, high, wide, -1)
        return self.conv_out(self.conv1(tiles.permute(0, 3, 1, 2)))


class Lateral(nn.Module):
    """A lateral connection in two halves: a 1 x 1 convolution commutes with the resize of the second half."""

    def __init__(self, block: plain.LateralBlock) -> None:
        super().__init__()
        full, half = block.conv.weight.chunk(2, 1)
        bias = cast("nn.Parameter", block.conv.bias)
        self.of_full = Convolution(full, bias)
        self.of_half = Convolution(half, torch.zeros_like(bias))

    def forward(self, full: Tensor, half: Tensor, below: Tensor) -> Tensor:
        """Return the next stage's input, at the size of `full`. Overwrites `below`.

        The half-size image's map has the size of `below`, the stage below's output, and is resized with it.
        """
        below += self.of_half(half)
        return resize(below, full.shape[2:]).add_(self.of_full(full))


class GradientAttention(nn.Module):
    """The attention map of a stage's output, from its gradient branch."""

    def __init__(self, decoder: PlainDecoder, step: int) -> None:
        super().__init__()
        convs = cast("nn.Sequential", decoder.get_submodule(f"gdt_convs_{step}"))
        self.gradient = fold_batchnorm(convs[0], convs[1])
        self.head = cast("nn.Sequential", decoder.get_submodule(f"gdt_convs_attn_{step}"))[0]

    def forward(self, p: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, 1, H, W), 0 to 1."""
        return torch.sigmoid(self.head(F.relu_(self.gradient(p))))


class FullSizeHead(nn.Module):
    """The input image's part of the logit: two linear 3 x 3 convolutions in one step.

    Each pixel contributes nine values to its neighbours through the second kernel. One convolution computes
    them directly, and `fold` sums them. The 64 channels in between never exist.
    """

    def __init__(self, block: plain.SimpleConvs, head: Tensor, bias: Tensor) -> None:
        super().__init__()
        last = fold_projection(block.conv_out, head)  # to one channel
        # `fold` scatters values by tap, where a convolution gathers them: hence the flip.
        self.contributions = fold_projection(block.conv1, last.weight[0].flip(1, 2).flatten(1).t())
        self.bias = frozen_parameter(last.bias + bias)

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 3, H, W) to (B, 1, H, W)."""
        return F.fold(self.contributions(image).flatten(2), image.shape[2:], 3, padding=1).add_(self.bias)


class Decoder(nn.Module):
    """Four upsampling stages, derived from a plain decoder."""

    def __init__(self, decoder: PlainDecoder) -> None:
        super().__init__()
        patches = [decoder.ipt_blk5, decoder.ipt_blk4, decoder.ipt_blk3, decoder.ipt_blk2]
        self.patches = nn.ModuleList(ImagePatches(patch) for patch in patches)
        steps = (
            decoder.decoder_block4,
            decoder.decoder_block3,
            decoder.decoder_block2,
            decoder.decoder_block1,
        )
        self.steps = nn.ModuleList(
            BasicDecBlk(step, [step.conv_in.in_channels - width, width])
            for step, width in zip(steps, (patch.conv_out.out_channels for patch in patches), strict=True)
        )
        self.attentions = nn.ModuleList(GradientAttention(decoder, step) for step in (4, 3, 2))
        self.laterals = nn.ModuleList(
            Lateral(block)
            for block in (decoder.lateral_block4, decoder.lateral_block3, decoder.lateral_block2)
        )
        # The last convolutions and the logit are linear, and resizing commutes with a sum over channels: so
        # one channel is resized to full size, instead of c3/2.
        head = cast("nn.Conv2d", decoder.conv_out1[0])
        last = cast("BasicDecBlk", self.steps[3])
        deep = last.conv_out.out_channels
        matrix = head.weight[:, :, 0, 0]
        last.conv_out = fold_projection(last.conv_out, matrix[:, :deep])
        self.image_head = FullSizeHead(decoder.ipt_blk1, matrix[:, deep:], cast("nn.Parameter", head.bias))

    def forward(self, image: Tensor, full: list[Tensor], half: list[Tensor], deep: Tensor) -> Tensor:
        """Return logits, (B, 1, H, W), for `image`, (B, 3, H, W), and the encoder's maps of it, deepest last.

        `full` and `half` are the backbone's maps of the image at both scales; `deep` is the squeezed x4.
        """
        p = self.steps[0](deep, self.patches[0](image))
        for number in range(3):
            p = self.laterals[number](full[2 - number], half[2 - number], p * self.attentions[number](p))
            p = self.steps[number + 1](p, self.patches[number + 1](image))
        # Makes the strides contiguous: a channels-last tensor of one channel is resized several times slower.
        logit = p.squeeze(1).unsqueeze(1)
        return resize(logit, image.shape[2:]).add_(self.image_head(image))
