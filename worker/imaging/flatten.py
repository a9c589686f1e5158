"""What lies under a photo that is transparent already: no network looks at transparency."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

WHITE = 255
_GROUNDS = (WHITE, 128, 0)  # white first: it is what most pictures of things are taken on
_ALIKE = 48  # levels of grey between which a network sees no edge for certain
_VISIBLE = 128


def laid_on(rgb: Image.Image, alpha: NDArray[np.uint8], grey: int) -> Image.Image:
    """Return an RGB image over a grey where its transparency, (H, W), lets that through."""
    return Image.composite(rgb, Image.new("RGB", rgb.size, (grey,) * 3), Image.fromarray(alpha))


def standing_out(rgb: Image.Image, alpha: NDArray[np.uint8]) -> int:
    """Return the grey that the fewest visible pixels come near: on white, a white logo is not there."""
    counts = rgb.convert("L").histogram(Image.fromarray(alpha >= _VISIBLE))
    return min(_GROUNDS, key=lambda grey: sum(counts[max(grey - _ALIKE, 0) : grey + _ALIKE + 1]))
