"""Alpha matting: one pass over the whole image, or two with `detail=high`.

The network sees the whole image at its own input size, so a small subject in a large image gets few of its
pixels. The second pass crops to the subject's bounding box and runs it at the network's full resolution.
"""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared.option_validation import Margin
from shared.options import DetailChoice
from worker.engines import Engine, Step
from worker.imaging.geometry import Box, Pixels, box_of, with_margin
from worker.imaging.parallel import each_strip, resized

SEEN = 32  # of 255: what the first look is at least so sure of belongs to the subject
MARGIN = 0.15  # of the box's longer side: room for what the first look has missed
WORTHWHILE = 0.75  # of the photo's sides: a larger box would gain the second look next to nothing


def matte(photo: Image.Image, engine: Engine, step: Step, detail: DetailChoice = "standard") -> Pixels:
    """Return the subject's alpha, (H, W) of the RGB `photo`, 0 clear to 255 opaque.

    With `detail` "high", a small subject's box is looked at a second time, alone. Raises errors of
    `shared.errors`, and whatever `step` raises.
    """
    if detail == "standard":
        return _look(photo, engine, step)
    first = _look(photo, engine, lambda share: step(share / 2))
    box = second_look(first)
    if box is None:
        return first
    return blended(first, _look(photo, engine, lambda share: step((1 + share) / 2), box), box)


def _look(photo: Image.Image, engine: Engine, step: Step, box: Box | None = None) -> Pixels:
    """Return the alpha of the photo, or of a box in it alone, at its size."""
    size = photo.size if box is None else (box.width, box.height)
    alpha = engine.alpha(engine.pixels(photo, box), step)
    return resized(Image.fromarray(alpha), size, Image.Resampling.BICUBIC)


def second_look(alpha: Pixels) -> Box | None:
    """Return where to look again, given the first look's alpha (H, W); None where it would gain nothing."""
    seen = box_of(alpha >= SEEN)
    if seen is None:
        return None
    height, width = alpha.shape
    room = Margin(Fraction(MARGIN * max(seen.width, seen.height) + 1), is_share=False)
    box = with_margin(seen, room, (width, height))
    return None if box.width > WORTHWHILE * width and box.height > WORTHWHILE * height else box


def blended(first: Pixels, second: Pixels, box: Box) -> Pixels:
    """Return `first` with `second` in `box`, fading over half the margin to its borders inside the photo."""
    height, width = first.shape
    left, top, right, bottom = box.corners
    fade = max(1, round(MARGIN * max(box.width, box.height) / (1 + 2 * MARGIN) / 2))
    across = _ramp(box.width, fade, start=left > 0, end=right < width)
    down = _ramp(box.height, fade, start=top > 0, end=bottom < height)
    mixed = first.copy()
    inside = mixed[top:bottom, left:right]

    def mix(start: int, end: int) -> None:
        share = np.minimum(down[start:end, None], across)
        below = inside[start:end].astype(np.float32)
        inside[start:end] = np.rint(below + share * (second[start:end] - below))

    each_strip(box.height, mix)  # a few rows at a time: in float32 all of them would take a photo's memory
    return mixed


def _ramp(length: int, fade: int, *, start: bool, end: bool) -> NDArray[np.float32]:
    """Return 0..1 for each pixel of a side: rising at the start and falling at the end, where asked for."""
    place = np.arange(length, dtype=np.float32)
    ramp = np.ones(length, np.float32)
    if start:
        ramp = np.minimum(ramp, (place + 0.5) / fade)
    if end:
        ramp = np.minimum(ramp, (length - 0.5 - place) / fade)
    return ramp
