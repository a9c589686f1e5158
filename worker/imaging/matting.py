"""Trimap-free alpha matting: one pass over the whole image, or two with `detail=high`.

The network sees the whole image at its own input size, so a small subject in a large image gets few of its
pixels. The second pass crops to the subject's bounding box and runs it at the network's full resolution.
"""

from fractions import Fraction
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared.errors import RoiExceedsBounds, RoiRegionEmpty
from shared.lengths import Length, Margins, parse_region
from shared.messages import ModelInfo
from shared.options import DetailChoice
from worker.engines import Engine, ProgressFn
from worker.imaging.colour import ModelInput
from worker.imaging.geometry import Box, Pixels, add_margins, find_bounding_box
from worker.imaging.parallel import for_each_strip, resize

CONFIDENT_ALPHA = 32  # of 255: from here on, a pixel of the first pass counts as subject
CROP_MARGIN = 0.15  # of the box's longer side: for parts that the first pass missed
REGION_MARGIN = Fraction(1, 10)  # of a region's sides: context around it for the network
MAX_CROP_SHARE = 0.75  # of both of the image's sides: a larger crop hardly adds resolution


def compute_matte(
    image: ModelInput,
    engine: Engine,
    on_progress: ProgressFn,
    detail: DetailChoice = "standard",
    region: Box | None = None,
) -> tuple[Pixels, ModelInfo]:
    """Return the alpha matte of an RGB image, (H, W), 0 transparent to 255 opaque, and the model used.

    With `detail` "high", a small subject gets a second pass on its bounding box. With a `region`, only that
    part and some context around it is inferred, and the matte is 0 outside. Raises errors of
    `shared.errors`, and whatever `on_progress` raises.
    """
    whole = Box(0, 0, *image.size)
    context = whole if region is None else _add_share(region, REGION_MARGIN).intersect(whole)
    first_share = 0.5 if detail == "high" else 1.0
    first, model = _infer(image, engine, lambda share: on_progress(first_share * share), context)
    box = find_refinement_box(first) if detail == "high" else None
    if box is not None:
        absolute = box._replace(left=box.left + context.left, top=box.top + context.top)
        second, model = _infer(image, engine, lambda share: on_progress((1 + share) / 2), absolute)
        first = blend_crop(first, second, box)
    return (first if region is None else _keep_region(first, context, region, image.size)), model


def find_region(size: tuple[int, int], roi: str | None) -> Box | None:
    """Return the option `roi` in pixels of an image of `size` (width, height); None for all of it.

    Raises RoiRegionEmpty and RoiExceedsBounds.
    """
    if roi is None:
        return None
    sides = zip(parse_region(roi), (*size, *size), strict=True)
    left, top, right, bottom = (length.to_pixels(side) for length, side in sides)
    if right > size[0] or bottom > size[1]:
        raise RoiExceedsBounds(
            f"The region of interest ('roi') reaches beyond the image of {size[0]} x {size[1]} pixels."
        )
    box = Box(floor(left), floor(top), ceil(right) - floor(left), ceil(bottom) - floor(top))
    if box.width <= 0 or box.height <= 0:
        raise RoiRegionEmpty
    return None if box == (0, 0, *size) else box


def _keep_region(part: Pixels, context: Box, region: Box, size: tuple[int, int]) -> Pixels:
    """Return the matte of an image of `size`: `part`, which covers `context`, inside of `region`, else 0."""
    alpha: Pixels = np.zeros(size[::-1], np.uint8)
    left, top, right, bottom = region.corners
    alpha[top:bottom, left:right] = part[
        top - context.top : bottom - context.top, left - context.left : right - context.left
    ]
    return alpha


def _add_share(box: Box, share: Fraction) -> Box:
    return add_margins(box, Margins.uniform(Length(share, is_share=True)))


def _infer(image: ModelInput, engine: Engine, on_progress: ProgressFn, box: Box) -> tuple[Pixels, ModelInfo]:
    """Return the matte of a part of the image, at its own size."""
    part = None if box == (0, 0, *image.size) else box
    alpha, model = engine.predict_alpha(engine.preprocess(image, part), on_progress)
    return resize(Image.fromarray(alpha), (box.width, box.height), Image.Resampling.BICUBIC), model


def find_refinement_box(alpha: Pixels) -> Box | None:
    """Return the crop for the second pass, given the first pass's matte; None if it would gain nothing."""
    subject = find_bounding_box(alpha >= CONFIDENT_ALPHA)
    if subject is None:
        return None
    height, width = alpha.shape
    margin = Length(Fraction(CROP_MARGIN * max(subject.width, subject.height) + 1), is_share=False)
    box = add_margins(subject, Margins.uniform(margin)).intersect(Box(0, 0, width, height))
    return None if box.width > MAX_CROP_SHARE * width and box.height > MAX_CROP_SHARE * height else box


def blend_crop(first: Pixels, second: Pixels, box: Box) -> Pixels:
    """Return `first` with `second` blended into `box`, with a ramp over half the margin at its borders.

    There is no ramp where the box ends at the image's own border.
    """
    height, width = first.shape
    left, top, right, bottom = box.corners
    fade = max(1, round(CROP_MARGIN * max(box.width, box.height) / (1 + 2 * CROP_MARGIN) / 2))
    across = _make_ramp(box.width, fade, start=left > 0, end=right < width)
    down = _make_ramp(box.height, fade, start=top > 0, end=bottom < height)
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


def _make_ramp(length: int, fade: int, *, start: bool, end: bool) -> NDArray[np.float32]:
    """Return a weight of 0..1 per pixel of a side, rising at its start and falling at its end, as asked."""
    position = np.arange(length, dtype=np.float32)
    ramp = np.ones(length, np.float32)
    if start:
        ramp = np.minimum(ramp, (position + 0.5) / fade)
    if end:
        ramp = np.minimum(ramp, (length - 0.5 - position) / fade)
    return ramp
