"""Modulated deformable convolution without torchvision's operator.

Zhu et al., "Deformable ConvNets v2: More Deformable, Better Results", 2018.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

SLICE_BYTES = 4 * 1024**2  # of gathered samples at a time: they are used once, so they should stay in cache


class DeformableConv2d(nn.Module):
    """A k x k convolution that chooses where, and how strongly, to look at each tap."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int) -> None:
        super().__init__()
        taps, padding = kernel * kernel, kernel // 2
        self.kernel = kernel
        self.offset_conv = nn.Conv2d(channels_in, 2 * taps, kernel, padding=padding)
        self.modulator_conv = nn.Conv2d(channels_in, taps, kernel, padding=padding)
        self.regular_conv = nn.Conv2d(channels_in, channels_out, kernel, padding=padding, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C_in, H, W) to (B, C_out, H, W)."""
        taps = self.kernel**2
        offsets = self.offset_conv(x).permute(0, 2, 3, 1).contiguous().unflatten(-1, (taps, 2))
        strengths = 2 * torch.sigmoid(self.modulator_conv(x).permute(0, 2, 3, 1).contiguous())
        return deformable_conv(x, offsets, strengths, self.regular_conv.weight, self.regular_conv.bias)


def deformable_conv(
    x: Tensor, offsets: Tensor, strengths: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    """Sample `x` where `offsets` say, weigh by `strengths`, and convolve with `weight`.

    x (B, C, H, W); offsets (B, H, W, T, 2) in pixels as (dy, dx), from each of the T = k² taps, row by
    row; strengths (B, H, W, T); weight (C_out, C, k, k). Returns (B, C_out, H, W). Corners outside the map
    count as zero.

    Bilinear sampling is a weighted sum of four rows of a table of pixels, which is what `embedding_bag`
    does, threaded and vectorised, straight into the order that one GEMM wants. A border of zeros around the
    map stands for everything outside it.
    """
    batch, channels, height, width = x.shape
    kernel, taps = weight.shape[-1], offsets.shape[3]
    matrix = weight.permute(0, 2, 3, 1).reshape(len(weight), taps * channels)
    tables = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 2, 1, 2)).flatten(1, 2)
    out = x.new_empty(batch, height * width, len(weight))
    step = max(1, SLICE_BYTES // (taps * channels * x.element_size() * width))
    for item, table in enumerate(tables):
        for top in range(0, height, step):
            rows, weights = _corners(offsets[item, top : top + step].float(), top, height, kernel)
            weights = weights * strengths[item, top : top + step, ..., None]
            samples = F.embedding_bag(
                rows.view(-1, 4), table, per_sample_weights=weights.view(-1, 4).to(x.dtype), mode="sum"
            )
            pixels = slice(top * width, (top + step) * width)
            out[item, pixels] = F.linear(samples.view(-1, taps * channels), matrix, bias)
    return out.view(batch, height, width, -1).permute(0, 3, 1, 2)


def _corners(offsets: Tensor, top: int, height: int, kernel: int) -> tuple[Tensor, Tensor]:
    """Return the table rows and the bilinear weights of the four pixels around each sample.

    offsets (h, W, T, 2), float32 always: bfloat16 counts no further than 256 without gaps. They belong to
    the map's rows from `top` on. Both results (h, W, T, 4); the table's rows are those of a map with a
    border of one zero before and two after.
    """
    rows, width = offsets.shape[:2]
    like = offsets.new_empty(0)
    axis = torch.arange(kernel).to(like) - kernel // 2
    down, across = torch.arange(top, top + rows).to(like), torch.arange(width).to(like)
    y = offsets[..., 0] + axis.repeat_interleave(kernel) + down[:, None, None]
    x = offsets[..., 1] + axis.repeat(kernel) + across[:, None]
    y, x = y.clamp_(-1, height), x.clamp_(-1, width)
    y0, x0 = y.floor(), x.floor()
    y, x = y - y0, x - x0
    stride = width + 3
    first = ((y0 + 1) * stride + (x0 + 1)).int()
    around = torch.tensor((0, 1, stride, stride + 1), device=offsets.device, dtype=torch.int32)
    down, up = y * (1 - x), (1 - y) * (1 - x)
    weights = torch.stack((up, (1 - y) - up, down, y - down), -1)
    return first[..., None] + around, weights
