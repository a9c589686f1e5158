"""Mattes: the subject's alpha at the photo's size, by one look of a network or two."""

from PIL import Image

from shared.options import DetailChoice
from worker.engines import Engine, Step
from worker.imaging.detail import blended, second_look
from worker.imaging.geometry import Box, Pixels
from worker.imaging.resize import resized


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
