"""What deformable sampling is told, and what it gives."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor


class Shifts(NamedTuple):
    """One branch's k x k taps: (H, W, ≥ 3k²), all taps' dy in pixels, then all dx, then all modulators."""

    kernel: int
    values: Tensor


# Takes the map's rows from `top` up to, without, `bottom`; returns ((bottom - top) x W, taps, C).
Sampler = Callable[[int, int], Tensor]
