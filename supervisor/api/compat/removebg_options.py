"""Translation of remove.bg's parameters into removal options, as docs/compatibility.md describes it."""

import re
from collections.abc import Callable

from shared.colours import is_opaque, validate_colour
from shared.errors import InvalidOption
from shared.lengths import parse_lengths, parse_position, parse_region, parse_scale
from shared.options import FormatChoice, OutputChoice, RemovalOptions, ShadowChoice
from supervisor.api.compat.removebg_request import IMAGE_BACKGROUNDS, RemovebgRequest, make_parameter_error

FULL, PNG_PIXELS = 25_000_000, 10_000_000
MAX_PIXELS = {
    **dict.fromkeys(("preview", "small", "regular"), 250_000),
    "medium": 1_500_000,
    "hd": 4_000_000,
    "50MP": 50_000_000,
    **dict.fromkeys(("full", "4k", "auto"), FULL),
}
SHADOWS: dict[str, ShadowChoice] = {
    "none": "none",
    "drop": "drop",
    **dict.fromkeys(("auto", "car", "3D"), "ground"),
}
ZIP_QUALITY = 90  # of color.jpg
MAX_MARGIN_PX, MAX_MARGIN_SHARE = 500, 0.5
_WHOLE_PHOTO = re.compile(r"0(%|px)? 0(%|px)? 100% 100%")
_HEX = re.compile(r"([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})", re.IGNORECASE)


def to_removal_options(asked: RemovebgRequest) -> RemovalOptions:
    """Return the removal options, without a background image. Raises RemovebgRefusal."""
    _check_channels(asked)
    colour = parse_colour(asked.bg_color) if asked.bg_color else None
    format_ = _choose_format(asked, colour)
    defaults = RemovalOptions()
    return RemovalOptions(
        output=_choose_output(asked),
        format=format_,
        background=colour,
        roi=_parse_roi(asked.roi),
        crop=asked.crop,
        margin=parse_removebg_margin(asked.crop_margin) if asked.crop else defaults.margin,
        scale=_parse_unless_original("scale", asked.scale, parse_scale),
        position=_parse_unless_original("position", asked.position, parse_position),
        shadow=_choose_shadow(asked),
        shadow_opacity=defaults.shadow_opacity if asked.shadow_opacity is None else asked.shadow_opacity,
        max_area=limit_pixels(asked.size, is_png=format_ == "png" and asked.format != "zip"),
        quality=ZIP_QUALITY if asked.format == "zip" else defaults.quality,
    )


def limit_pixels(size: str, *, is_png: bool) -> int:
    """Return how many pixels a result of the parameter `size` has at most."""
    return min(MAX_PIXELS[size], PNG_PIXELS) if is_png else MAX_PIXELS[size]


def parse_removebg_margin(text: str) -> str:
    """Check `crop_margin`: one, two or four sizes, each 500 px or 50 % at most. Raises RemovebgRefusal."""
    try:
        margins = parse_lengths(text, "crop_margin", (1, 2, 4), "20px or 5%, once, twice or four times")
    except InvalidOption as error:
        raise make_parameter_error("crop_margin", error.detail) from error
    if any(margin.amount > (MAX_MARGIN_SHARE if margin.is_share else MAX_MARGIN_PX) for margin in margins):
        raise make_parameter_error("crop_margin", "It is 500px or 50% at most.")
    return text


def parse_colour(text: str) -> str:
    """Translate remove.bg's colour: # before hexadecimal digits. Raises RemovebgRefusal."""
    digits, colour = text.removeprefix("#"), text
    if _HEX.fullmatch(digits):
        colour = "#" + ("".join(digit * 2 for digit in digits) if len(digits) == 4 else digits)
    try:
        validate_colour(colour)
    except InvalidOption as error:
        raise make_parameter_error(
            "bg_color", "It is a colour such as 81d4fa, fff, 81d4fa77, or its name."
        ) from error
    return colour


def _check_channels(asked: RemovebgRequest) -> None:
    """Refuse parameters that the alpha alone has no place for. Raises RemovebgRefusal."""
    background = asked.find_background()
    if asked.channels == "alpha" and background:
        raise make_parameter_error(background, "With channels=alpha there is no background.")
    if asked.channels == "alpha" and asked.format == "zip":
        raise make_parameter_error("format", "With channels=alpha there is no zip, which holds the colours.")


def _choose_output(asked: RemovebgRequest) -> OutputChoice:
    if asked.format == "zip":
        return "layers"
    return "mask" if asked.channels == "alpha" else "cutout"


def _choose_format(asked: RemovebgRequest, colour: str | None) -> FormatChoice:
    match asked.format:
        case "jpg":
            return "jpeg"
        case "webp":
            return "webp"
        case "auto" if (colour and is_opaque(colour)) or asked.find_background() in IMAGE_BACKGROUNDS:
            return "jpeg"
    return "png"


def _choose_shadow(asked: RemovebgRequest) -> ShadowChoice:
    """Return the shadow of `shadow_type`, or, without it, that of the older `add_shadow`."""
    return SHADOWS[asked.shadow_type or ("auto" if asked.add_shadow else "none")]


def _parse_roi(text: str) -> str | None:
    if _WHOLE_PHOTO.fullmatch(" ".join(text.split())):
        return None
    return _parse("roi", text, parse_region)


def _parse_unless_original(name: str, text: str, parse: Callable[[str], object]) -> str | None:
    return None if text.strip().lower() == "original" else _parse(name, text, parse)


def _parse(name: str, text: str, parse: Callable[[str], object]) -> str:
    """Return the text if it can be parsed. Raises RemovebgRefusal."""
    try:
        parse(text)
    except InvalidOption as error:
        raise make_parameter_error(name, error.detail) from error
    return text
