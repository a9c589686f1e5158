"""Resizing on all cores: strip by strip, since Pillow lets go of the interpreter while it computes one."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worker.device import available_cores
from worker.geometry import Box

STRIP_ROWS = 128  # enough that starting a strip costs nothing, few enough to share evenly


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

    def fill(first: int) -> None:
        last = min(first + STRIP_ROWS, height)
        part = (left, top + first * scale, right, min(top + last * scale, bottom))
        full[first:last] = np.asarray(picture.resize((width, last - first), resample, part, reducing_gap))

    with ThreadPoolExecutor(available_cores()) as pool:
        list(pool.map(fill, range(0, height, STRIP_ROWS)))
    return full
