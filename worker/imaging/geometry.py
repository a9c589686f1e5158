"""Boxes, crops and sizes: where the subject is, and which part of an image, at what size, is the result."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared.option_validation import Margin

Pixels = NDArray[np.uint8]

# A subject has at least one pixel of half opacity. Its box ignores the faint haze of under 5 % that networks
# leave in the background.
_SUBJECT_ALPHA = 128
_VISIBLE_ALPHA = 13
# The sharpest of Pillow's filters without overshoot, which would draw a bright rim along hard edges.
_FILTER = Image.Resampling.HAMMING


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


def find_subject_box(alpha: Pixels) -> Box | None:
    """Return the bounding box of pixels of 5 % opacity or more in `alpha`, (H, W); None without a subject.

    A subject has at least one pixel of half opacity.
    """
    return None if alpha.max(initial=0) < _SUBJECT_ALPHA else find_bounding_box(alpha >= _VISIBLE_ALPHA)


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


def add_margin(box: Box, margin: Margin, size: tuple[int, int]) -> Box:
    """Return `box` grown by `margin` on each side, clipped to the image's `size` (width, height)."""
    across, down = (
        math.ceil(margin.amount * side if margin.is_share else margin.amount)
        for side in (box.width, box.height)
    )
    left, top, right, bottom = box.corners
    left, top = max(left - across, 0), max(top - down, 0)
    right, bottom = min(right + across, size[0]), min(bottom + down, size[1])
    return Box(left, top, right - left, bottom - top)


def fit_within(size: tuple[int, int], max_side: int | None) -> tuple[int, int]:
    """Return `size` (width, height) scaled down so that no side exceeds `max_side`; never up."""
    scale = 1.0 if max_side is None else min(1.0, max_side / max(size))
    width, height = (max(1, round(side * scale)) for side in size)
    return width, height


@dataclass(frozen=True, slots=True)
class Matted:
    """An image and its alpha matte: `rgb`, and `alpha` (H, W) of the same size, 0 transparent to 255 opaque.

    `input_alpha`, (H, W), is the alpha channel that the image came with, if any. `alpha` includes it.
    """

    rgb: Image.Image
    input_alpha: Pixels | None
    alpha: Pixels

    def crop(self, box: Box) -> "Matted":
        """Return the part in `box`."""
        if box == (0, 0, *self.rgb.size):
            return self
        left, top, right, bottom = box.corners
        inside = slice(top, bottom), slice(left, right)
        input_alpha = None if self.input_alpha is None else self.input_alpha[inside]
        return Matted(self.rgb.crop(box.corners), input_alpha, np.ascontiguousarray(self.alpha[inside]))

    def resize(self, size: tuple[int, int], *, keep_background_mix: bool) -> "Matted":
        """Return both resized to `size` (width, height), by an anti-aliased filter.

        Colours are weighted by their alpha, so that transparent pixels do not bleed into the result.
        `keep_background_mix` weights them by `input_alpha` alone, which mixes subject and background as a
        camera does: for a foreground estimation that then removes the background's share.
        """
        weights = self.input_alpha if keep_background_mix else self.alpha
        input_alpha = None if self.input_alpha is None else _resize_alpha(self.input_alpha, size)
        return Matted(_resize_weighted(self.rgb, weights, size), input_alpha, _resize_alpha(self.alpha, size))

    def resize_alpha_only(self, size: tuple[int, int]) -> "Matted":
        """Return both resized to `size`, for a mask: the colours are only approximate."""
        rgb = self.rgb.resize(size, Image.Resampling.NEAREST)
        return Matted(rgb, None, _resize_alpha(self.alpha, size))


def _resize_alpha(alpha: Pixels, size: tuple[int, int]) -> Pixels:
    return np.asarray(Image.fromarray(alpha).resize(size, _FILTER))


def _resize_weighted(rgb: Image.Image, weights: Pixels | None, size: tuple[int, int]) -> Image.Image:
    if weights is None:
        return rgb.resize(size, _FILTER)
    rgba = rgb.convert("RGBA")
    rgba.putalpha(Image.fromarray(weights))
    # Pillow resizes RGBA with premultiplied alpha, and divides afterwards.
    return rgba.resize(size, _FILTER).convert("RGB")
