"""Deformable sampling on CUDA as one kernel: coordinates, four corners, blend and modulation in registers."""

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from worker.birefnet.fused.sampling import Sampler, Shifts

SAMPLES = 32  # by each program, every one with all its channels


def sampler(pixels: Tensor, branches: Sequence[Shifts]) -> Sampler:
    """Return what samples `pixels`, (H, W, C) on CUDA; see `sampling.sampler`."""
    height, width, channels = pixels.shape
    pixels = pixels.contiguous()
    every = sum(branch.kernel**2 for branch in branches)

    def sample(top: int, bottom: int) -> Tensor:
        count = (bottom - top) * width
        out = torch.empty(count, every, channels, device=pixels.device, dtype=pixels.dtype)
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


def try_out() -> None:
    """Sample one pixel. Raises whatever Triton does where it cannot make or start the kernel."""
    nothing = torch.zeros(1, 1, 16, device="cuda")
    sampler(nothing, [Shifts(1, nothing)])(0, 1)


@triton.jit
def _sample(
    pixels, shifts, out, start, total, height, width, shifts_stride, out_stride,
    kernel: tl.constexpr, channels: tl.constexpr, samples: tl.constexpr,
) -> None:  # fmt: skip
    """Give `samples` samples: `start` is the slice's first pixel, `total` how many samples the slice has."""
    taps: tl.constexpr = kernel * kernel
    number = tl.program_id(0) * samples + tl.arange(0, samples)
    real = number < total
    pixel, tap = number // taps, number % taps
    here = start + pixel
    source = shifts + here.to(tl.int64) * shifts_stride + tap
    y = tl.load(source, real, 0.0).to(tl.float32) + (here // width + tap // kernel - kernel // 2)
    x = tl.load(source + taps, real, 0.0).to(tl.float32) + (here % width + tap % kernel - kernel // 2)
    strength = 2 * tl.sigmoid(tl.load(source + 2 * taps, real, 0.0).to(tl.float32))
    top, left = tl.floor(y), tl.floor(x)
    low, right = y - top, x - left
    row, column = top.to(tl.int32), left.to(tl.int32)
    channel = tl.arange(0, channels)
    blend = tl.zeros((samples, channels), tl.float32)
    for corner in tl.static_range(4):
        r, c = row + corner // 2, column + corner % 2
        by_row = low if corner // 2 else 1 - low
        by_column = right if corner % 2 else 1 - right
        inside = real & (r >= 0) & (r < height) & (c >= 0) & (c < width)
        address = pixels + (r * width + c)[:, None] * channels + channel[None]
        value = tl.load(address, inside[:, None], 0.0).to(tl.float32)
        blend += value * (by_row * by_column * strength)[:, None]
    target = out + pixel.to(tl.int64)[:, None] * out_stride + tap[:, None] * channels + channel[None]
    tl.store(target, blend.to(out.dtype.element_ty), real[:, None])
