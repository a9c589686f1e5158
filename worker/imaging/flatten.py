"""Flattens a transparent image onto a solid grey: networks take RGB, without transparency."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

WHITE = 255
_CANDIDATE_GREYS = (WHITE, 128, 0)  # white first: most product photos have it as background
_LOW_CONTRAST = 48  # grey levels up to which a network may miss an edge
_VISIBLE = 128


def flatten_onto(rgb: Image.Image, alpha: NDArray[np.uint8], grey: int) -> Image.Image:
    """Composite an RGB image with its `alpha`, (H, W), over a solid grey of 0 to 255."""
    flat = Image.new("RGB", rgb.size, (grey,) * 3)
    flat.paste(rgb, (0, 0), Image.fromarray(alpha))
    return flat


def choose_contrasting_grey(rgb: Image.Image, alpha: NDArray[np.uint8]) -> int:
    """Return the grey with low contrast to the fewest visible pixels: a white logo would vanish on white."""
    counts = rgb.convert("L").histogram(Image.fromarray(alpha >= _VISIBLE))
    return min(
        _CANDIDATE_GREYS,
        key=lambda grey: sum(counts[max(grey - _LOW_CONTRAST, 0) : grey + _LOW_CONTRAST + 1]),
    )
