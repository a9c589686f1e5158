"""Resizing on all cores."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worker.imaging.geometry import Box
from worker.imaging.strips import each_strip


def resized(
    picture: Image.Image,
    size: tuple[int, int],
    resample: Image.Resampling,
    box: Box | None = None,
    reducing_gap: float | None = None,
) -> NDArray[np.uint8]:
    """Return the 8-bit picture, or a box in it, at `size` (width, height): (H, W) or (H, W, bands).

    As Pillow's `resize` does it, anti-aliased where it shrinks.
    """
    width, height = size
    left, top, right, bottom = (0, 0, *picture.size) if box is None else box.corners
    scale = (bottom - top) / height
    bands = len(picture.getbands())
    full = np.empty((height, width) if bands == 1 else (height, width, bands), np.uint8)

    def fill(first: int, last: int) -> None:
        part = (left, top + first * scale, right, min(top + last * scale, bottom))
        full[first:last] = np.asarray(picture.resize((width, last - first), resample, part, reducing_gap))

    each_strip(height, fill)
    return full
