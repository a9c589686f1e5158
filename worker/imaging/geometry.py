"""Where the subject is, and what part of a photo, at what size, becomes the result."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared.option_validation import Margin

Pixels = NDArray[np.uint8]

# There is a subject where a pixel is more subject than background; its box holds all that shows, but not the
# faint haze that networks leave here and there: from 5 % on.
_CERTAIN = 128
_SHOWS = 13
# The sharpest of Pillow's filters that never overshoot, which would draw a bright rim along hard edges.
_FILTER = Image.Resampling.HAMMING


class Box(NamedTuple):
    """A part of a picture, in pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def corners(self) -> tuple[int, int, int, int]:
        """Return left, top, right, bottom, the last two outside the box, as Pillow wants them."""
        return self.left, self.top, self.left + self.width, self.top + self.height


def subject_box(alpha: Pixels) -> Box | None:
    """Return the box of all that shows in `alpha`, (H, W), or None if there is no subject in it.

    A subject has at least one pixel that is half opaque. A pixel shows from 5 % on.
    """
    return None if alpha.max(initial=0) < _CERTAIN else box_of(alpha >= _SHOWS)


def box_of(marked: NDArray[np.bool_]) -> Box | None:
    """Return the smallest box that holds all marked pixels of (H, W), or None if none is marked."""
    down, across = np.flatnonzero(marked.any(axis=1)), np.flatnonzero(marked.any(axis=0))
    if not down.size:
        return None
    left, top = int(across[0]), int(down[0])
    return Box(left, top, int(across[-1]) - left + 1, int(down[-1]) - top + 1)


def coverage(alpha: Pixels) -> float:
    """Return how much of the picture the subject takes: the mean of `alpha`, 0 to 1."""
    return float(alpha.mean(dtype=np.float64)) / 255


def with_margin(box: Box, margin: Margin, size: tuple[int, int]) -> Box:
    """Return `box` with room on each side, as far as the photo of `size` (width, height) goes."""
    across, down = (
        math.ceil(margin.amount * side if margin.is_share else margin.amount)
        for side in (box.width, box.height)
    )
    left, top, right, bottom = box.corners
    left, top = max(left - across, 0), max(top - down, 0)
    right, bottom = min(right + across, size[0]), min(bottom + down, size[1])
    return Box(left, top, right - left, bottom - top)


def fitted(size: tuple[int, int], max_side: int | None) -> tuple[int, int]:
    """Return `size` (width, height) scaled down so that no side is longer than `max_side`; never up."""
    scale = 1.0 if max_side is None else min(1.0, max_side / max(size))
    width, height = (max(1, round(side * scale)) for side in size)
    return width, height


@dataclass(frozen=True, slots=True)
class Cut:
    """A photo and its subject, both W x H: `rgb`, and `alpha` (H, W), 0 clear to 255 opaque.

    `own` is the transparency, (H, W), that the photo came with, if any. `alpha` holds it already.
    """

    rgb: Image.Image
    own: Pixels | None
    alpha: Pixels

    def part(self, box: Box) -> "Cut":
        """Return what is in `box`."""
        if box == (0, 0, *self.rgb.size):
            return self
        left, top, right, bottom = box.corners
        inside = slice(top, bottom), slice(left, right)
        own = None if self.own is None else self.own[inside]
        return Cut(self.rgb.crop(box.corners), own, np.ascontiguousarray(self.alpha[inside]))

    def scaled(self, size: tuple[int, int], *, keeps_mixture: bool) -> "Cut":
        """Return it at another `size` (width, height), by an anti-aliased filter.

        A pixel's colour counts as much as it shows, so that no hidden one comes to light. `keeps_mixture`
        scales subject and background together, as a camera would have seen them: for those who then take the
        background's share out again.
        """
        weights = self.own if keeps_mixture else self.alpha
        own = None if self.own is None else _scaled(self.own, size)
        return Cut(_weighed(self.rgb, weights, size), own, _scaled(self.alpha, size))

    def scaled_shape(self, size: tuple[int, int]) -> "Cut":
        """Return it at another `size` for those who want the alpha alone: the colours are roughly right."""
        return Cut(self.rgb.resize(size, Image.Resampling.NEAREST), None, _scaled(self.alpha, size))


def _scaled(alpha: Pixels, size: tuple[int, int]) -> Pixels:
    return np.asarray(Image.fromarray(alpha).resize(size, _FILTER))


def _weighed(rgb: Image.Image, weights: Pixels | None, size: tuple[int, int]) -> Image.Image:
    if weights is None:
        return rgb.resize(size, _FILTER)
    rgba = rgb.convert("RGBA")
    rgba.putalpha(Image.fromarray(weights))
    # Pillow premultiplies RGBA to resize it, and divides after.
    return rgba.resize(size, _FILTER).convert("RGB")
