"""Deformable sampling: from where each tap looks to what it sees, four pixels blended by their distance.

On CUDA, where Triton is there, one kernel does it all; everywhere else `embedding_bag` gathers, blends and
modulates in one threaded call. Coordinates are float32 always: bfloat16 counts no further than 256 without
gaps.
"""

import logging
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

log = logging.getLogger("worker.birefnet")


class Shifts(NamedTuple):
    """One branch's k x k taps: (H, W, ≥ 3k²), all taps' dy in pixels, then all dx, then all modulators."""

    kernel: int
    values: Tensor


# Takes the map's rows from `top` up to, without, `bottom`; returns ((bottom - top) x W, taps, C).
Sampler = Callable[[int, int], Tensor]
Sampling = Callable[[Tensor, Sequence[Shifts]], Sampler]


def sampler(pixels: Tensor, branches: Sequence[Shifts]) -> Sampler:
    """Return what samples `pixels`, (H, W, C), at every tap of all branches, one branch behind the other.

    Corners outside the map count as zero.
    """
    kernel = _kernel() if pixels.is_cuda else None
    return (kernel or by_embedding_bag)(pixels, branches)


@cache
def _kernel() -> Sampling | None:
    """Return what samples by Triton, if that works here.

    PyTorch brings it only with CUDA on Linux, and there it still wants a C compiler, Python's headers and a
    folder to write to. It misses them no sooner than when a kernel is called: so one is, once.
    """
    try:
        from worker.birefnet.fused import triton_sampling  # noqa: PLC0415

        triton_sampling.try_out()
    except ImportError:
        return None
    except torch.OutOfMemoryError:  # of the moment
        raise
    except Exception:
        log.warning("Triton cannot make its kernel; removals take longer", exc_info=True)
        return None
    return triton_sampling.sampler


def by_embedding_bag(pixels: Tensor, branches: Sequence[Shifts]) -> Sampler:
    """Do the same on any device, with what PyTorch has."""
    height, width, channels = pixels.shape
    # A border of zeros, one before and two after, stands for everything outside the map.
    table = F.pad(pixels, (0, 0, 1, 2, 1, 2)).flatten(0, 1)
    taps = [branch.kernel**2 for branch in branches]
    # Made where they are used: while a CUDA graph is recorded, nothing can be copied there.
    numbers = [torch.arange(count, device=pixels.device) for count in taps]
    sides = [branch.kernel for branch in branches]
    down = torch.cat([tap // side - side // 2 for tap, side in zip(numbers, sides, strict=True)])
    across = torch.cat([tap % side - side // 2 for tap, side in zip(numbers, sides, strict=True)])
    columns = torch.arange(width, device=pixels.device, dtype=torch.float32)[:, None]

    def sample(top: int, bottom: int) -> Tensor:
        rows = torch.arange(top, bottom, device=pixels.device, dtype=torch.float32)[:, None, None]
        each = [
            branch.values[top:bottom, :, : 3 * count].float().chunk(3, -1)
            for branch, count in zip(branches, taps, strict=True)
        ]
        y, x, strength = (torch.cat(parts, -1) for parts in zip(*each, strict=True))
        y = (y + (down + rows)).clamp_(-1, height)
        x = (x + (across + columns)).clamp_(-1, width)
        corners, weights = _corners(y, x, strength.sigmoid_().mul_(2), width + 3)
        sampled = F.embedding_bag(corners, table, per_sample_weights=weights.to(table.dtype), mode="sum")
        return sampled.view(-1, sum(taps), channels)

    return sample


def _corners(y: Tensor, x: Tensor, strength: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """Return the table's rows of the four pixels around each sample, and their weights: (samples, 4) each.

    A map's row takes `stride` rows of the table. Uses its arguments up.
    """
    y0, x0 = y.floor(), x.floor()
    y -= y0
    x -= x0
    first = y0.add_(1).mul_(stride).add_(x0).add_(1).int()
    corners = torch.stack((first, first + 1, first + stride, first + stride + 1), -1)
    low = y.mul_(strength)
    high = strength.sub_(low)
    low_right, high_right = low * x, high * x
    weights = torch.stack((high.sub_(high_right), high_right, low.sub_(low_right), low_right), -1)
    return corners.view(-1, 4), weights.view(-1, 4)
