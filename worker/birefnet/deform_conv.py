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
        offsets = self.offset_conv(x).permute(0, 2, 3, 1).unflatten(-1, (taps, 2))
        strengths = 2 * torch.sigmoid(self.modulator_conv(x)).permute(0, 2, 3, 1)
        return deformable_conv(x, offsets, strengths, self.regular_conv.weight, self.regular_conv.bias)


def deformable_conv(
    x: Tensor, offsets: Tensor, strengths: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    """Sample `x` where `offsets` say, weigh by `strengths`, and convolve with `weight`.

    x (B, C, H, W); offsets (B, H, W, T, 2) in pixels as (dy, dx), from each of the T = k² taps, row by
    row; strengths (B, H, W, T); weight (C_out, C, k, k). Returns (B, C_out, H, W). Corners outside the map
    count as zero.

    Bilinear sampling is a weighted sum of four rows of the (H W, C) table of pixels, which is what
    `embedding_bag` does, threaded and vectorised, straight into the order that one GEMM wants.
    """
    batch, channels, height, width = x.shape
    kernel, taps = weight.shape[-1], offsets.shape[3]
    matrix = weight.permute(0, 2, 3, 1).reshape(len(weight), taps * channels)
    out = x.new_empty(batch, height * width, len(weight))
    step = max(1, SLICE_BYTES // (taps * channels * x.element_size() * width)) * width
    for item in range(batch):
        table = x[item].permute(1, 2, 0).reshape(height * width, channels)
        at = _positions(offsets[item].float(), kernel)
        flat_at, flat_strengths = at.flatten(0, 1), strengths[item].flatten(0, 1)
        for start in range(0, height * width, step):
            rows, weights = _corners(flat_at[start : start + step], height, width)
            weights = weights * flat_strengths[start : start + step, :, None].float()
            samples = F.embedding_bag(
                rows.flatten(0, 1),
                table,
                per_sample_weights=weights.flatten(0, 1).to(table.dtype),
                mode="sum",
            )
            out[item, start : start + step] = F.linear(samples.view(-1, taps * channels), matrix, bias)
    return out.view(batch, height, width, -1).permute(0, 3, 1, 2)


def _positions(offsets: Tensor, kernel: int) -> Tensor:
    """Return where each pixel's taps look, (H, W, T, 2) as (y, x).

    Always float32: bfloat16 counts no further than 256 without gaps.
    """
    height, width = offsets.shape[:2]
    axis = torch.arange(kernel, device=offsets.device, dtype=torch.float32) - kernel // 2
    taps = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).view(-1, 2)
    rows = torch.arange(height, device=offsets.device, dtype=torch.float32)
    columns = torch.arange(width, device=offsets.device, dtype=torch.float32)
    pixels = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), -1)
    return pixels[:, :, None] + taps + offsets


def _corners(at: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return the table rows (int64) and bilinear weights of the four pixels around `at`.

    at (P, T, 2) as (y, x); both results (P, T, 4).
    """
    low = at.floor()
    fraction = at - low
    y0, x0 = low.unbind(-1)
    fy, fx = fraction.unbind(-1)
    ys, xs = torch.stack((y0, y0, y0 + 1, y0 + 1), -1), torch.stack((x0, x0 + 1, x0, x0 + 1), -1)
    weights = torch.stack(((1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx), -1)
    inside = (ys >= 0) & (ys < height) & (xs >= 0) & (xs < width)
    rows = ys.clamp(0, height - 1) * width + xs.clamp(0, width - 1)
    return rows.long(), weights * inside
