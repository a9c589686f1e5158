"""A second look, for `detail=high`: at the subject's box alone, at the network's full resolution.

A network sees the whole photo at its own size, so a small subject in a large photo gets few of its pixels.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SEEN = 32  # of 255: what the first look is at least so sure of belongs to the subject
MARGIN = 0.15  # of the box's longer side: room for what the first look has missed
WORTHWHILE = 0.75  # of the photo's sides: a larger box would gain the second look next to nothing


class Box(NamedTuple):
    """A rectangle in pixels; right and bottom lie outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.right - self.left, self.bottom - self.top


def second_look(alpha: NDArray[np.uint8]) -> Box | None:
    """Return where to look again, given the first look's alpha (H, W); None where it would gain nothing."""
    seen = alpha >= SEEN
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    if not len(rows):
        return None
    height, width = alpha.shape
    margin = round(MARGIN * max(rows[-1] - rows[0], columns[-1] - columns[0])) + 1
    box = Box(
        max(0, int(columns[0]) - margin),
        max(0, int(rows[0]) - margin),
        min(width, int(columns[-1]) + 1 + margin),
        min(height, int(rows[-1]) + 1 + margin),
    )
    wide, high = box.size
    return None if wide > WORTHWHILE * width and high > WORTHWHILE * height else box


def blended(first: NDArray[np.uint8], second: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """Return `first` with `second` in `box`, fading over half the margin to its borders inside the photo."""
    height, width = first.shape
    wide, high = box.size
    fade = max(1, round(MARGIN * max(wide, high) / (1 + 2 * MARGIN) / 2))
    across = _ramp(wide, fade, start=box.left > 0, end=box.right < width)
    down = _ramp(high, fade, start=box.top > 0, end=box.bottom < height)
    place = np.s_[box.top : box.bottom, box.left : box.right]
    share = np.minimum(down[:, None], across[None])
    mixed = first.copy()
    mixed[place] = np.rint(first[place] + share * (second.astype(np.float32) - first[place])).astype(np.uint8)
    return mixed


def _ramp(length: int, fade: int, *, start: bool, end: bool) -> NDArray[np.float32]:
    """Return 0..1 for each pixel of a side: rising at the start and falling at the end, where asked for."""
    place = np.arange(length, dtype=np.float32)
    ramp = np.ones(length, np.float32)
    if start:
        ramp = np.minimum(ramp, (place + 0.5) / fade)
    if end:
        ramp = np.minimum(ramp, (length - 0.5 - place) / fade)
    return ramp
