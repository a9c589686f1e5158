"""Alphas: from a network's output to the photo's size."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worker.device import available_cores

STRIP_ROWS = 256  # resized at a time: enough that starting one costs nothing, few enough to share evenly


def to_photo_size(alpha: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return `alpha`, (h, w) in 0..1, as 0..255 at the photo's `size` (width, height).

    Nothing is stretched: what is beyond 0..1 is clipped, and an empty alpha stays empty. Bicubic.
    """
    width, height = size
    small = np.rint(np.clip(alpha, 0, 1) * 255).astype(np.uint8)
    # Wide first, for all strips at once; each strip then only has to be stretched downwards.
    wide = Image.fromarray(small).resize((width, len(small)), Image.Resampling.BICUBIC)
    scale = len(small) / height
    full = np.empty((height, width), np.uint8)

    def stretch(top: int) -> None:
        bottom = min(top + STRIP_ROWS, height)
        box = (0, top * scale, width, bottom * scale)
        strip = wide.resize((width, bottom - top), Image.Resampling.BICUBIC, box=box)
        full[top:bottom] = np.asarray(strip)

    with ThreadPoolExecutor(available_cores()) as pool:
        list(pool.map(stretch, range(0, height, STRIP_ROWS)))
    return full
