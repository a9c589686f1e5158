"""Shadows: the subject's silhouette, shifted (drop) or flattened at its foot (ground), and blurred.

A shadow has no fine detail, so it is computed at a reduced size and enlarged.
"""

from fractions import Fraction
from math import ceil

import numpy as np
from PIL import Image, ImageFilter

from shared.lengths import parse_shadow_blur, parse_shadow_offset
from shared.options import RemovalOptions
from worker.imaging.geometry import Box, Pixels, find_core_box
from worker.imaging.parallel import resize

_MAX_SIDE = 1024  # pixels of the reduced silhouette
_DEFAULT_BLUR = "2%"
_DEFAULT_DROP = "2% 3%"
# The offset of a ground shadow: right, as a share of the subject's shorter side, less if there is no room on
# the canvas; and down, as a share of its height.
_DEFAULT_LEAN, _DEFAULT_SINK = Fraction(1, 5), Fraction(3, 100)
_FLATNESS = 0.28  # a ground shadow's height, as a share of the subject's
# A ground shadow is blurred by these multiples of the blur, from the foot to the far end.
_BLUR_LEVELS = (0.8, 1.2, 1.8, 2.6)
_BLUR_REACH = 3  # a Gaussian blur is negligible beyond three of its radii


def find_shadow_extent(box: Box, options: RemovalOptions) -> Box:
    """Return the bounding box of the subject in `box` and of its shadow."""
    blur = ceil(_compute_blur_radius(box, options) * _BLUR_REACH)
    across, down = map(ceil, _compute_offset(box, options, None))
    if options.shadow == "ground":
        reach = ceil(blur * _BLUR_LEVELS[-1])
        foot = ceil(blur * _BLUR_LEVELS[0])
        right, bottom = box.width + max(0, across) + reach, box.height + max(0, down) + foot
        return Box(box.left + min(0, across) - reach, box.top, right - min(0, across) + reach, bottom)
    left, top = box.left + min(0, across - blur), box.top + min(0, down - blur)
    right = max(box.corners[2], box.corners[2] + across + blur)
    bottom = max(box.corners[3], box.corners[3] + down + blur)
    return Box(left, top, right - left, bottom - top)


def render_shadow(alpha: Pixels, box: Box, options: RemovalOptions) -> Pixels:
    """Return the shadow's opacity, (H, W) uint8, of the subject in `box` of a matte `alpha`, (H, W)."""
    height, width = alpha.shape
    blur = _compute_blur_radius(box, options)
    step = max(1, min(-(-max(height, width) // _MAX_SIDE), int(blur) or 1))
    silhouette = Image.fromarray(alpha).reduce(step)
    across, down = (float(side) / step for side in _compute_offset(box, options, width - box.corners[2]))
    reduced = Box(*(round(value / step) for value in box))
    if options.shadow == "ground":
        opacity = _render_ground(silhouette, reduced, across, down, blur / step)
    else:
        shifted = _transform(silhouette, (1, 0, -across, 0, 1, -down))
        opacity = shifted.filter(ImageFilter.GaussianBlur(blur / step))
    share = options.shadow_opacity / 100
    opacity = opacity.point([round(value * share) for value in range(256)])
    if step == 1:
        return np.asarray(opacity)
    full = resize(opacity, (opacity.width * step, opacity.height * step), Image.Resampling.BILINEAR)
    return full[:height, :width]


def _render_ground(silhouette: Image.Image, box: Box, lean: float, down: float, blur: float) -> Image.Image:
    """Return the silhouette flattened towards its foot; its far end leans and is blurred most."""
    core = find_core_box(np.asarray(silhouette))  # faint specks below the subject are not its foot
    bottom = (core or box).corners[3]
    foot, length = bottom + down, max(1.0, _FLATNESS * box.height)
    # Maps a pixel of the shadow to one of the silhouette: foot to foot, and `length` above it to the head.
    to_silhouette = (
        *(1, lean / length, -lean * foot / length),
        *(0, 1 / _FLATNESS, bottom - foot / _FLATNESS),
    )
    flat = _transform(silhouette, to_silhouette)
    levels = np.stack(
        [
            np.asarray(flat.filter(ImageFilter.GaussianBlur(blur * level)), np.float32)
            for level in _BLUR_LEVELS
        ]
    )
    last = len(_BLUR_LEVELS) - 1
    distance = np.clip((foot - np.arange(flat.height, dtype=np.float32)) / length, 0, 1) * last
    below = np.minimum(distance.astype(np.intp), last - 1)
    share = (distance - below)[:, np.newaxis]
    rows = np.arange(flat.height)
    blended = levels[below, rows] * (1 - share) + levels[below + 1, rows] * share
    return Image.fromarray(np.rint(blended).astype(np.uint8))


def _transform(silhouette: Image.Image, to_source: tuple[float, ...]) -> Image.Image:
    return silhouette.transform(silhouette.size, Image.Transform.AFFINE, to_source, Image.Resampling.BILINEAR)


def _compute_blur_radius(box: Box, options: RemovalOptions) -> float:
    blur = parse_shadow_blur(options.shadow_blur or _DEFAULT_BLUR)
    return float(blur.to_pixels(max(box.width, box.height)))


def _compute_offset(box: Box, options: RemovalOptions, room: int | None) -> tuple[Fraction, Fraction]:
    """Return how far the shadow falls, right and down; by default within the `room` right of the subject."""
    if options.shadow_offset is None and options.shadow == "ground":
        lean = _DEFAULT_LEAN * min(box.width, box.height)
        if room is not None:
            spread = Fraction(_compute_blur_radius(box, options) * _BLUR_LEVELS[-1])
            lean = min(lean, max(Fraction(0), room - 2 * spread))
        return lean, _DEFAULT_SINK * box.height
    across, down = parse_shadow_offset(options.shadow_offset or _DEFAULT_DROP)
    return across.to_pixels(box.width), down.to_pixels(box.height)
