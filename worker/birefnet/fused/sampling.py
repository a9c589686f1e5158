"""Deformable sampling: bilinear interpolation at each tap's offset position, times its modulation.

On CUDA with Triton, one kernel does it all; elsewhere, `embedding_bag` gathers, interpolates and modulates in
one multi-threaded call. Coordinates are always float32: bfloat16 has no integers above 256 without gaps.
"""

import logging
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

log = logging.getLogger("worker.birefnet")


class TapOffsets(NamedTuple):
    """One branch's k x k taps: (H, W, ≥ 3k²), all taps' dy in pixels, all dx, then all modulation logits."""

    kernel: int
    values: Tensor


# (top, bottom) -> samples of these rows of the map, bottom exclusive: ((bottom - top) x W, taps, C).
Sampler = Callable[[int, int], Tensor]
SamplerFactory = Callable[[Tensor, Sequence[TapOffsets]], Sampler]


def make_sampler(pixels: Tensor, branches: Sequence[TapOffsets]) -> Sampler:
    """Return a sampler of `pixels`, (H, W, C), at the taps of all branches, concatenated.

    Pixels outside the map are zero.
    """
    triton = _load_triton_backend() if pixels.is_cuda else None
    return (triton or make_embedding_bag_sampler)(pixels, branches)


@cache
def _load_triton_backend() -> SamplerFactory | None:
    """Return the Triton backend, if it works on this machine.

    PyTorch ships Triton with CUDA on Linux only. It also needs a C compiler, Python's headers and a writable
    folder, and fails without them on the first kernel call: so this makes one.
    """
    try:
        from worker.birefnet.fused import triton_sampling  # noqa: PLC0415

        triton_sampling.check_kernel()
    except ImportError:
        return None
    except torch.OutOfMemoryError:  # transient
        raise
    except Exception:
        log.warning("Triton kernel not compiled", extra={"action": "use PyTorch operators"}, exc_info=True)
        return None
    return triton_sampling.make_sampler


def make_embedding_bag_sampler(pixels: Tensor, branches: Sequence[TapOffsets]) -> Sampler:
    """Return a sampler for any device, in PyTorch's own operators."""
    height, width, channels = pixels.shape
    # A border of zeros, one pixel before and two after, stands for everything outside the map.
    table = F.pad(pixels, (0, 0, 1, 2, 1, 2)).flatten(0, 1)
    taps = [branch.kernel**2 for branch in branches]
    # Created on the device: a CUDA graph capture allows no copies to it.
    numbers = [torch.arange(count, device=pixels.device) for count in taps]
    sides = [branch.kernel for branch in branches]
    down = torch.cat([tap // side - side // 2 for tap, side in zip(numbers, sides, strict=True)])
    across = torch.cat([tap % side - side // 2 for tap, side in zip(numbers, sides, strict=True)])
    columns = torch.arange(width, device=pixels.device, dtype=torch.float32)[:, None]

    def sample(top: int, bottom: int) -> Tensor:
        rows = torch.arange(top, bottom, device=pixels.device, dtype=torch.float32)[:, None, None]
        parts_by_branch = [
            branch.values[top:bottom, :, : 3 * count].float().chunk(3, -1)
            for branch, count in zip(branches, taps, strict=True)
        ]
        y, x, modulation = (torch.cat(parts, -1) for parts in zip(*parts_by_branch, strict=True))
        y = (y + (down + rows)).clamp_(-1, height)
        x = (x + (across + columns)).clamp_(-1, width)
        corners, weights = _gather_corners(y, x, modulation.sigmoid_().mul_(2), width + 3)
        sampled = F.embedding_bag(corners, table, per_sample_weights=weights.to(table.dtype), mode="sum")
        return sampled.view(-1, sum(taps), channels)

    return sample


def _gather_corners(y: Tensor, x: Tensor, modulation: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """Return the table rows of the four pixels around each sample, and their weights: (samples, 4) each.

    A map's row takes `stride` rows of the table. Overwrites its arguments.
    """
    y0, x0 = y.floor(), x.floor()
    y -= y0
    x -= x0
    first = y0.add_(1).mul_(stride).add_(x0).add_(1).int()
    corners = torch.stack((first, first + 1, first + stride, first + stride + 1), -1)
    low = y.mul_(modulation)
    high = modulation.sub_(low)
    low_right, high_right = low * x, high * x
    weights = torch.stack((high.sub_(high_right), high_right, low.sub_(low_right), low_right), -1)
    return corners.view(-1, 4), weights.view(-1, 4)
