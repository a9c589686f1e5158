"""Alphas: from a network's output to the photo's size."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def to_photo_size(alpha: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return `alpha`, (h, w) in 0..1, as 0..255 at the photo's `size` (width, height).

    Nothing is stretched: what is beyond 0..1 is clipped, and an empty alpha stays empty.
    """
    small = np.rint(np.clip(alpha, 0, 1) * 255).astype(np.uint8)
    return np.asarray(Image.fromarray(small).resize(size, Image.Resampling.BICUBIC))
