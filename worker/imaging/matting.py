"""Trimap-free alpha matting: one pass over the whole image, or two with `detail=high`.

The network sees the whole image at its own input size, so a small subject in a large image gets few of its
pixels. The second pass crops to the subject's bounding box and runs it at the network's full resolution.
"""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared.messages import ModelInfo
from shared.option_validation import Margin
from shared.options import DetailChoice
from worker.engines import Engine, ProgressFn
from worker.imaging.colour import ModelInput
from worker.imaging.geometry import Box, Pixels, add_margin, find_bounding_box
from worker.imaging.parallel import for_each_strip, resize

CONFIDENT_ALPHA = 32  # of 255: from here on, a pixel of the first pass counts as subject
CROP_MARGIN = 0.15  # of the box's longer side: for parts that the first pass missed
MAX_CROP_SHARE = 0.75  # of both of the image's sides: a larger crop hardly adds resolution


def compute_matte(
    image: ModelInput, engine: Engine, on_progress: ProgressFn, detail: DetailChoice = "standard"
) -> tuple[Pixels, ModelInfo]:
    """Return the alpha matte of an RGB image, (H, W), 0 transparent to 255 opaque, and the model used.

    With `detail` "high", a small subject gets a second pass on its bounding box. Raises errors of
    `shared.errors`, and whatever `on_progress` raises.
    """
    if detail == "standard":
        return _infer(image, engine, on_progress)
    first, model = _infer(image, engine, lambda share: on_progress(share / 2))
    box = refinement_box(first)
    if box is None:
        return first, model
    second, model = _infer(image, engine, lambda share: on_progress((1 + share) / 2), box)
    return blend_crop(first, second, box), model


def _infer(
    image: ModelInput, engine: Engine, on_progress: ProgressFn, box: Box | None = None
) -> tuple[Pixels, ModelInfo]:
    """Return the matte of the image, or of a crop of it, at its own size."""
    size = image.size if box is None else (box.width, box.height)
    alpha, model = engine.predict_alpha(engine.preprocess(image, box), on_progress)
    return resize(Image.fromarray(alpha), size, Image.Resampling.BICUBIC), model


def refinement_box(alpha: Pixels) -> Box | None:
    """Return the crop for the second pass, given the first pass's matte; None if it would gain nothing."""
    subject = find_bounding_box(alpha >= CONFIDENT_ALPHA)
    if subject is None:
        return None
    height, width = alpha.shape
    margin = Margin(Fraction(CROP_MARGIN * max(subject.width, subject.height) + 1), is_share=False)
    box = add_margin(subject, margin, (width, height))
    return None if box.width > MAX_CROP_SHARE * width and box.height > MAX_CROP_SHARE * height else box


def blend_crop(first: Pixels, second: Pixels, box: Box) -> Pixels:
    """Return `first` with `second` blended into `box`, with a ramp over half the margin at its borders.

    There is no ramp where the box ends at the image's own border.
    """
    height, width = first.shape
    left, top, right, bottom = box.corners
    fade = max(1, round(CROP_MARGIN * max(box.width, box.height) / (1 + 2 * CROP_MARGIN) / 2))
    across = _ramp(box.width, fade, start=left > 0, end=right < width)
    down = _ramp(box.height, fade, start=top > 0, end=bottom < height)
    blended = first.copy()
    inside = blended[top:bottom, left:right]

    def blend(start: int, end: int) -> None:
        share = np.minimum(down[start:end, None], across)
        below = inside[start:end].astype(np.float32)
        inside[start:end] = np.rint(below + share * (second[start:end] - below))

    for_each_strip(box.height, blend)  # by strips: a float32 copy takes four times the matte's memory
    return blended


def multiply_alpha(alpha: Pixels, other: Pixels) -> None:
    """Multiply a matte by another alpha channel of its size, in place."""

    def multiply(top: int, bottom: int) -> None:
        product = alpha[top:bottom].astype(np.uint16)
        product *= other[top:bottom]
        product += 127
        alpha[top:bottom] = product // 255

    for_each_strip(len(alpha), multiply)


def _ramp(length: int, fade: int, *, start: bool, end: bool) -> NDArray[np.float32]:
    """Return a weight of 0..1 per pixel of a side, rising at its start and falling at its end, as asked."""
    position = np.arange(length, dtype=np.float32)
    ramp = np.ones(length, np.float32)
    if start:
        ramp = np.minimum(ramp, (position + 0.5) / fade)
    if end:
        ramp = np.minimum(ramp, (length - 0.5 - position) / fade)
    return ramp
