"""Cross-field validation of removal options."""

from shared.colours import validate_colour
from shared.errors import InvalidOption
from shared.lengths import (
    parse_canvas,
    parse_margins,
    parse_position,
    parse_region,
    parse_scale,
    parse_shadow_blur,
    parse_shadow_offset,
)
from shared.options import RemovalOptions


def validate_options(options: RemovalOptions, *, has_background_file: bool = False) -> None:
    """Raise InvalidOption for invalid values and for options that exclude each other.

    `has_background_file` is whether the request has a background image.
    """
    _validate_geometry(options)
    validate_colour(options.shadow_colour, "shadow_colour")
    if options.shadow_blur is not None:
        parse_shadow_blur(options.shadow_blur)
    if options.shadow_offset is not None:
        parse_shadow_offset(options.shadow_offset)
    if options.background is not None:
        validate_colour(options.background)
        if has_background_file:
            raise InvalidOption("Set either 'background' or 'background_file', not both.")


def _validate_geometry(options: RemovalOptions) -> None:
    parse_margins(options.margin)
    if options.roi is not None:
        parse_region(options.roi)
    if options.canvas is not None:
        parse_canvas(options.canvas)
    if options.scale is not None:
        parse_scale(options.scale)
    if options.position is not None:
        parse_position(options.position)
