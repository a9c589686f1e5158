"""The result's pixels, a few rows at a time, on whatever threads ask for them."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from worker.imaging.background import Backdrop
from worker.imaging.flatten import WHITE, laid_on
from worker.imaging.foreground import UNSEEN, decontaminated
from worker.imaging.geometry import Cut, Pixels
from worker.imaging.png import Rows

# Returns the subject's colours in the rows from the first up to, without, the second, as an RGB image.
Colours = Callable[[int, int], Image.Image]


def photo_colours(cut: Cut) -> Colours:
    """Return the photo's own pixels."""
    return _rows_of(cut.rgb)


def refined_colours(cut: Cut) -> Colours:
    """Return the photo's pixels with the subject's own colour where its edge is soft.

    Where the photo came with transparency of its own, it came without a background: its pixels stay. All of
    them are computed here, so that the time they take is told apart from the encoder's.
    """
    if cut.own is None:
        return _rows_of(decontaminated(cut.rgb, cut.alpha))
    own = np.where(cut.own < 255 - UNSEEN, cut.own, np.uint8(255))  # 254 of 255 is no transparency
    refined = decontaminated(laid_on(cut.rgb, own, WHITE), cut.alpha)
    refined.paste(cut.rgb, (0, 0), Image.fromarray(own < 255))
    return _rows_of(refined)


def cutout(alpha: Pixels, colours: Colours) -> Rows:
    """Return the rows of straight RGBA. Hidden pixels are black: they show nowhere, and pack to nothing."""

    def rows(top: int, bottom: int) -> Pixels:
        rgba = np.array(colours(top, bottom).convert("RGBA"))
        rgba[..., 3] = alpha[top:bottom]
        return _without_hidden(rgba)

    return rows


def over(backdrop: Backdrop, alpha: Pixels, colours: Colours) -> Rows:
    """Return the rows of the subject over a backdrop: RGB if that is opaque, else straight RGBA."""
    width = alpha.shape[1]

    def rows(top: int, bottom: int) -> Pixels:
        behind, subject = backdrop.rows(top, bottom, width), colours(top, bottom)
        opacity = Image.fromarray(alpha[top:bottom])
        if backdrop.is_opaque:
            behind.paste(subject, (0, 0), opacity)
            return np.asarray(behind)
        subject = subject.convert("RGBA")
        subject.putalpha(opacity)
        return _without_hidden(np.array(Image.alpha_composite(behind, subject)))

    return rows


def _without_hidden(rgba: Pixels) -> Pixels:
    """Make fully transparent pixels black, in place, and return them all."""
    packed = rgba.view(np.uint32)[..., 0]
    packed *= rgba[..., 3] != 0
    return rgba


def _rows_of(image: Image.Image) -> Colours:
    return lambda top, bottom: image.crop((0, top, image.width, bottom))
