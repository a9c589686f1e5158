"""Deformable sampling as one Triton kernel: coordinates, bilinear interpolation, modulation in registers."""

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from worker.birefnet.fused.sampling import Sampler, TapOffsets

SAMPLES = 32  # per program, each with all its channels


def make_sampler(pixels: Tensor, branches: Sequence[TapOffsets]) -> Sampler:
    """Return a sampler of `pixels`, (H, W, C) on CUDA; see `sampling.make_sampler`."""
    height, width, channels = pixels.shape
    pixels = pixels.contiguous()
    all_taps = sum(branch.kernel**2 for branch in branches)

    def sample(top: int, bottom: int) -> Tensor:
        count = (bottom - top) * width
        out = torch.empty(count, all_taps, channels, device=pixels.device, dtype=pixels.dtype)
        first = 0
        for branch in branches:
            taps = branch.kernel**2
            _sample[(triton.cdiv(count * taps, SAMPLES),)](
                pixels, branch.values, out[:, first:], top * width, count * taps, height, width,
                branch.values.stride(1), out.stride(0), branch.kernel, channels, SAMPLES,
            )  # fmt: skip
            first += taps
        return out

    return sample


def check_kernel() -> None:
    """Sample one pixel. Raises what Triton raises if it cannot compile or launch the kernel."""
    zeros = torch.zeros(1, 1, 16, device="cuda")
    make_sampler(zeros, [TapOffsets(1, zeros)])(0, 1)


@triton.jit
def _sample(
    pixels, offsets, out, start, total, height, width, offsets_stride, out_stride,
    kernel: tl.constexpr, channels: tl.constexpr, samples: tl.constexpr,
) -> None:  # fmt: skip
    """Compute `samples` samples of a slice that starts at pixel `start` and has `total` samples."""
    taps: tl.constexpr = kernel * kernel
    number = tl.program_id(0) * samples + tl.arange(0, samples)
    valid = number < total
    pixel, tap = number // taps, number % taps
    here = start + pixel
    source = offsets + here.to(tl.int64) * offsets_stride + tap
    y = tl.load(source, valid, 0.0).to(tl.float32) + (here // width + tap // kernel - kernel // 2)
    x = tl.load(source + taps, valid, 0.0).to(tl.float32) + (here % width + tap % kernel - kernel // 2)
    modulation = 2 * tl.sigmoid(tl.load(source + 2 * taps, valid, 0.0).to(tl.float32))
    top, left = tl.floor(y), tl.floor(x)
    low, right = y - top, x - left
    row, column = top.to(tl.int32), left.to(tl.int32)
    channel = tl.arange(0, channels)
    sampled = tl.zeros((samples, channels), tl.float32)
    for corner in tl.static_range(4):
        r, c = row + corner // 2, column + corner % 2
        by_row = low if corner // 2 else 1 - low
        by_column = right if corner % 2 else 1 - right
        inside = valid & (r >= 0) & (r < height) & (c >= 0) & (c < width)
        address = pixels + (r * width + c)[:, None] * channels + channel[None]
        value = tl.load(address, inside[:, None], 0.0).to(tl.float32)
        sampled += value * (by_row * by_column * modulation)[:, None]
    target = out + pixel.to(tl.int64)[:, None] * out_stride + tap[:, None] * channels + channel[None]
    tl.store(target, sampled.to(out.dtype.element_ty), valid[:, None])
