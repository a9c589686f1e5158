"""Colours for hidden pixels, for encoders that blur: black ones would darken the edge beside them."""

import numpy as np
from PIL import Image, ImageFilter

from worker.imaging.geometry import Pixels

_CELL = 8  # pixels wide and high: finer ones take longer, and are no better


def fill_hidden(rgba: Pixels) -> None:
    """Give clear pixels, which must be black, the mean colour of those around that are not; in place."""
    hidden = rgba[..., 3] == 0
    around = ImageFilter.BoxBlur(1)
    visible = np.asarray(Image.fromarray(~hidden).convert("L").reduce(_CELL).filter(around), np.float32)
    # As RGBX, or Pillow would weigh colours by their alpha.
    sums = np.asarray(Image.frombuffer("RGBX", hidden.shape[::-1], rgba).reduce(_CELL).filter(around))
    means = np.minimum(sums * (255 / np.maximum(visible, 1))[..., np.newaxis], 255).astype(np.uint8)
    means[..., 3] = 0
    packed, width = rgba.view(np.uint32)[..., 0], hidden.shape[1]
    for cells, top in zip(means.view(np.uint32)[..., 0], range(0, len(rgba), _CELL), strict=True):
        rows = slice(top, top + _CELL)
        np.copyto(packed[rows], np.repeat(cells, _CELL)[:width], where=hidden[rows])
