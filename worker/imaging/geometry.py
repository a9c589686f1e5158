"""Boxes and margins of images and of the subjects in them."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.lengths import Margins

Pixels = NDArray[np.uint8]
Part = tuple[float, float, float, float]  # left, top, right, bottom

# A subject has at least one pixel of half opacity. Its box ignores the faint haze of under 5 % that networks
# leave in the background.
_SUBJECT_ALPHA = 128
_VISIBLE_ALPHA = 13


class Box(NamedTuple):
    """A rectangle in an image, in pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def corners(self) -> tuple[int, int, int, int]:
        """Return left, top, right and bottom, the last two exclusive, as Pillow's `crop` takes them."""
        return self.left, self.top, self.left + self.width, self.top + self.height

    def intersect(self, other: "Box") -> "Box":
        """Return the part that both cover; of no width or height if there is none."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        right, bottom = min(self.corners[2], other.corners[2]), min(self.corners[3], other.corners[3])
        return Box(left, top, max(0, right - left), max(0, bottom - top))


def find_subject_box(alpha: Pixels) -> Box | None:
    """Return the bounding box of pixels of 5 % opacity or more in `alpha`, (H, W); None without a subject.

    A subject has at least one pixel of half opacity.
    """
    return None if alpha.max(initial=0) < _SUBJECT_ALPHA else find_bounding_box(alpha >= _VISIBLE_ALPHA)


def find_core_box(alpha: Pixels) -> Box | None:
    """Return the bounding box of pixels of half opacity or more, which ignores faint specks and fringes."""
    return find_bounding_box(alpha >= _SUBJECT_ALPHA)


def find_bounding_box(marked: NDArray[np.bool_]) -> Box | None:
    """Return the bounding box of the marked pixels of (H, W); None if none is marked."""
    down, across = np.flatnonzero(marked.any(axis=1)), np.flatnonzero(marked.any(axis=0))
    if not down.size:
        return None
    left, top = int(across[0]), int(down[0])
    return Box(left, top, int(across[-1]) - left + 1, int(down[-1]) - top + 1)


def measure_coverage(alpha: Pixels) -> float:
    """Return the subject's share of the image: the mean of `alpha`, 0 to 1."""
    return float(alpha.mean(dtype=np.float64)) / 255


def add_margins(box: Box, margins: Margins) -> Box:
    """Return `box` grown by `margins`, rounded up to whole pixels; it may reach beyond the image."""
    top, bottom = (math.ceil(length.to_pixels(box.height)) for length in (margins.top, margins.bottom))
    left, right = (math.ceil(length.to_pixels(box.width)) for length in (margins.left, margins.right))
    return Box(box.left - left, box.top - top, box.width + left + right, box.height + top + bottom)
