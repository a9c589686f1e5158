"""Layout: which part of an image a result shows, at what size, and where the subject is in it.

A layout is a frame, a rectangle in the image's pixels that may reach beyond its edges, and the size that the
result shows it at. Coordinates are exact fractions until pixels are taken.
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor

from shared.errors import InvalidOption, ResultTooLarge
from shared.lengths import (
    Canvas,
    Length,
    Margins,
    fit_within,
    parse_canvas,
    parse_margins,
    parse_position,
    parse_scale,
)
from shared.options import RemovalOptions
from worker.imaging.geometry import Box, Pixels, add_margins, find_bounding_box
from worker.imaging.matted_image import MattedImage

_CONTEXT = Length(Fraction(1, 50), is_share=True)
_FILTER_SUPPORT = 3  # pixels of the coarser image that a resampling filter reads on each side


@dataclass(frozen=True, slots=True)
class Layout:
    """The `frame` of the image (left, top, width, height) and the `size` (width, height) of the result."""

    left: Fraction
    top: Fraction
    width: Fraction
    height: Fraction
    size: tuple[int, int]

    @property
    def scale_factor(self) -> float:
        """The result's pixels per pixel of the image."""
        return float(self.size[0] / self.width)

    @property
    def frame(self) -> Box:
        """The frame in whole pixels."""
        left, top = round(self.left), round(self.top)
        return Box(left, top, round(self.left + self.width) - left, round(self.top + self.height) - top)

    def to_result(self, box: Box) -> Box:
        """Return a box of the image in the result's pixels."""
        across, down = self.size[0] / self.width, self.size[1] / self.height
        left, top = round((box.left - self.left) * across), round((box.top - self.top) * down)
        return Box(left, top, max(1, round(box.width * across)), max(1, round(box.height * down)))

    def find_target(self, part: Box) -> Box:
        """Return which part of the result a part of the image fills, at least one pixel."""
        filled, (width, height) = self.to_result(part), self.size
        filled = filled._replace(left=min(filled.left, width - 1), top=min(filled.top, height - 1))
        return filled.intersect(Box(0, 0, width, height))


def plan_layout(
    box: Box | None, extent: Box | None, image_size: tuple[int, int], options: RemovalOptions
) -> Layout:
    """Return the layout of the result for a subject in `box`, with `extent` as its box with its shadow.

    Without a subject, the image is laid out as if it were the subject, and not cropped. Raises InvalidOption
    for margins that leave no room.
    """
    image = Box(0, 0, *image_size)
    base = image
    if options.crop and box is not None:
        base = _unite(add_margins(box, parse_margins(options.margin)), extent or box)
    if options.canvas is None and options.scale is None and options.position is None:
        left, top, width, height = map(Fraction, base)
        layout = Layout(left, top, width, height, (base.width, base.height))
    else:
        layout = _place(box or image, base, image, options)
    return replace(layout, size=fit_within(layout.size, options.max_size, options.max_area))


def bound_pixels(image_size: tuple[int, int], options: RemovalOptions) -> int:
    """Return how many pixels the result has at most, but for a shadow: the subject is not known yet."""
    image = Box(0, 0, *image_size)
    base = add_margins(image, parse_margins(options.margin)) if options.crop else image
    width, height = fit_within(compute_canvas_size(options, base, image), options.max_size, options.max_area)
    return width * height


def check_pixels(layout: Layout, max_pixels: int) -> None:
    """Raise ResultTooLarge for a result of more than `max_pixels`."""
    width, height = layout.size
    if width * height > max_pixels:
        raise ResultTooLarge(
            f"The result would have {width:,} x {height:,} pixels, more than BGREMOVE_MAX_PIXELS allows: "
            "choose a smaller 'canvas' or 'margin', or give 'max_size'."
        )


def compute_canvas_size(options: RemovalOptions, base: Box, image: Box) -> tuple[int, int]:
    """Return the canvas's width and height: that of `base`, the shown part of the image, unless given."""
    if options.canvas is None:
        return base.width, base.height
    match parse_canvas(options.canvas):
        case None:
            return image.width, image.height
        case Canvas(width, height, is_aspect=False):
            return width, height
        case Canvas(width, height):
            if base.width * height >= base.height * width:
                return base.width, round(Fraction(base.width * height, width))
            return round(Fraction(base.height * width, height)), base.height


def _place(subject: Box, base: Box, image: Box, options: RemovalOptions) -> Layout:
    """Place the subject on the canvas; without `crop`, `scale`, `margin` and `position` the whole image."""
    size = compute_canvas_size(options, base, image)
    margins = parse_margins(options.margin)
    has_margins = any(length.amount for length in (margins.top, margins.right, margins.bottom, margins.left))
    scale = _choose_scale(subject, image, size, margins if has_margins or options.crop else None, options)
    anchors_subject = has_margins or options.crop or options.scale is not None or options.position is not None
    anchored = subject if anchors_subject else image
    share_x, share_y = parse_position(options.position or "center")
    left = _anchor(size[0], scale * anchored.width, margins.left, margins.right, share_x)
    top = _anchor(size[1], scale * anchored.height, margins.top, margins.bottom, share_y)
    return Layout(
        anchored.left - left / scale, anchored.top - top / scale, size[0] / scale, size[1] / scale, size
    )


def _choose_scale(
    subject: Box, image: Box, size: tuple[int, int], margins: Margins | None, options: RemovalOptions
) -> Fraction:
    """Return the result's pixels per pixel of the image. `margins` are to be kept free, if any are."""
    fixed = options.canvas is not None and (canvas := parse_canvas(options.canvas)) and not canvas.is_aspect
    room = None if margins is None else _find_largest_scale(subject, size, margins)
    if options.scale is not None:
        share = parse_scale(options.scale)
        wanted = share * min(Fraction(size[0], subject.width), Fraction(size[1], subject.height))
    elif not fixed:
        wanted = Fraction(1)
    elif room is not None:
        return room
    else:
        return min(Fraction(size[0], image.width), Fraction(size[1], image.height))
    return wanted if room is None else min(wanted, room)


def _find_largest_scale(subject: Box, size: tuple[int, int], margins: Margins) -> Fraction:
    """Return the scale at which the subject and its margins fill the canvas. Raises InvalidOption."""
    scales = []
    for side, length, pair in (
        (subject.width, size[0], (margins.left, margins.right)),
        (subject.height, size[1], (margins.top, margins.bottom)),
    ):
        fixed = sum((margin.amount for margin in pair if not margin.is_share), Fraction(0))
        shares = sum((margin.amount for margin in pair if margin.is_share), Fraction(1))
        scales.append((length - fixed) / (side * shares))
    if min(scales) <= 0:
        raise InvalidOption(
            "The field 'margin' is not valid: it leaves no room for the subject on the canvas."
        )
    return min(scales)


def _anchor(canvas: int, side: Fraction, before: Length, after: Length, share: Fraction) -> Fraction:
    """Return where on the canvas a side begins, in whole pixels, with `share` of the free room before it."""
    start, end = before.to_pixels(side), after.to_pixels(side)
    return Fraction(round(start + share * (canvas - start - end - side)))


def find_visible_part(alpha: Pixels) -> Box:
    """Return the part of an image that is not fully transparent, and some context for its edges' colours.

    Most photos are half background, which need not be resized.
    """
    whole = Box(0, 0, *alpha.shape[::-1])
    visible = find_bounding_box(alpha != 0) or whole
    return add_margins(visible, Margins.uniform(_CONTEXT)).intersect(whole)


def cut_out(
    matted: MattedImage, layout: Layout, target: Box, *, keep_background_mix: bool, is_mask: bool
) -> MattedImage:
    """Return what `target`, a part of the result that the image fills, shows of it, at the result's scale.

    See `MattedImage.resize` for `keep_background_mix`; a mask needs no colours.
    """
    width, height = matted.rgb.size
    across, down = layout.width / layout.size[0], layout.height / layout.size[1]
    left, right = _clip(layout.left + target.left * across, target.width * across, width)
    top, bottom = _clip(layout.top + target.top * down, target.height * down, height)
    support_x, support_y = (ceil(_FILTER_SUPPORT * max(Fraction(1), step)) for step in (across, down))
    hull_left, hull_top = max(0, floor(left) - support_x), max(0, floor(top) - support_y)
    hull = Box(
        hull_left,
        hull_top,
        min(width, ceil(right) + support_x) - hull_left,
        min(height, ceil(bottom) + support_y) - hull_top,
    )
    if right - left == target.width and bottom - top == target.height and not (left % 1 or top % 1):
        return matted.crop(Box(int(left), int(top), target.width, target.height))
    part = (
        float(left - hull.left),
        float(top - hull.top),
        float(right - hull.left),
        float(bottom - hull.top),
    )
    piece, size = matted.crop(hull), (target.width, target.height)
    if is_mask:
        return piece.resize_alpha_only(size, part)
    return piece.resize(size, part, keep_background_mix=keep_background_mix)


def _clip(start: Fraction, length: Fraction, side: int) -> tuple[Fraction, Fraction]:
    """Return the start and end of a span, clipped to an image's side; never empty."""
    first = min(max(start, Fraction(0)), Fraction(side - 1))
    return first, min(max(start + length, first + Fraction(1, 64)), Fraction(side))


def _unite(box: Box, other: Box) -> Box:
    """Return the smallest box around both."""
    left, top = min(box.left, other.left), min(box.top, other.top)
    right, bottom = max(box.corners[2], other.corners[2]), max(box.corners[3], other.corners[3])
    return Box(left, top, right - left, bottom - top)
