"""Boxes, crops and sizes: where the subject is, and which part of an image, at what size, is the result."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared.lengths import Margins

Pixels = NDArray[np.uint8]
Part = tuple[float, float, float, float]  # left, top, right, bottom

# A subject has at least one pixel of half opacity. Its box ignores the faint haze of under 5 % that networks
# leave in the background.
_SUBJECT_ALPHA = 128
_VISIBLE_ALPHA = 13
# The sharpest of Pillow's filters without overshoot, which would draw a bright rim along hard edges.
_REDUCE = Image.Resampling.HAMMING
_ENLARGE = Image.Resampling.LANCZOS


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


def fit_within(size: tuple[int, int], max_side: int | None, max_area: int | None = None) -> tuple[int, int]:
    """Return `size` (width, height) scaled down to a maximum longer side and area; never up."""
    side_scale = 1.0 if max_side is None else max_side / max(size)
    area_scale = 1.0 if max_area is None else math.sqrt(max_area / (size[0] * size[1]))
    scale = min(1.0, side_scale, area_scale)
    width, height = (max(1, round(side * scale)) for side in size)
    if max_area is not None and width * height > max_area:
        width, height = (max(1, int(side * scale)) for side in size)
        width = min(width, max(1, max_area // height))
        height = min(height, max(1, max_area // width))
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

    def resize(self, size: tuple[int, int], part: Part, *, keep_background_mix: bool) -> "Matted":
        """Return `part`, in pixels, resized to `size` (width, height): anti-aliased or interpolated.

        Colours are weighted by their alpha, so that transparent pixels do not bleed into the result.
        `keep_background_mix` weights them by `input_alpha` alone, which mixes subject and background as a
        camera does: for a foreground estimation that then removes the background's share.
        """
        weights = self.input_alpha if keep_background_mix else self.alpha
        input_alpha = None if self.input_alpha is None else _resize_alpha(self.input_alpha, size, part)
        rgb = _resize_weighted(self.rgb, weights, size, part)
        return Matted(rgb, input_alpha, _resize_alpha(self.alpha, size, part))

    def resize_alpha_only(self, size: tuple[int, int], part: Part) -> "Matted":
        """Return `part` resized to `size`, for a mask: the colours are only approximate."""
        rgb = self.rgb.resize(size, Image.Resampling.NEAREST, part)
        return Matted(rgb, None, _resize_alpha(self.alpha, size, part))


def _choose_filter(size: tuple[int, int], part: Part) -> Image.Resampling:
    is_enlarged = size[0] > part[2] - part[0] and size[1] > part[3] - part[1]
    return _ENLARGE if is_enlarged else _REDUCE


def _resize_alpha(alpha: Pixels, size: tuple[int, int], part: Part) -> Pixels:
    return np.asarray(Image.fromarray(alpha).resize(size, _choose_filter(size, part), part))


def _resize_weighted(
    rgb: Image.Image, weights: Pixels | None, size: tuple[int, int], part: Part
) -> Image.Image:
    resample = _choose_filter(size, part)
    if weights is None:
        return rgb.resize(size, resample, part)
    rgba = rgb.convert("RGBA")
    rgba.putalpha(Image.fromarray(weights))
    # Pillow resizes RGBA with premultiplied alpha, and divides afterwards.
    return rgba.resize(size, resample, part).convert("RGB")
