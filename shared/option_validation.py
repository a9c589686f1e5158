"""Cross-field validation of removal options, and the syntax of their colours and margins."""

import re
from dataclasses import dataclass
from fractions import Fraction

from shared.errors import InvalidOption
from shared.options import RemovalOptions

# The named colours of CSS Color Module Level 4, section 6.1.
# fmt: off
COLOUR_NAMES = frozenset((
    "aliceblue", "antiquewhite", "aqua", "aquamarine", "azure", "beige", "bisque", "black",
    "blanchedalmond", "blue", "blueviolet", "brown", "burlywood", "cadetblue", "chartreuse",
    "chocolate", "coral", "cornflowerblue", "cornsilk", "crimson", "cyan", "darkblue", "darkcyan",
    "darkgoldenrod", "darkgray", "darkgreen", "darkgrey", "darkkhaki", "darkmagenta", "darkolivegreen",
    "darkorange", "darkorchid", "darkred", "darksalmon", "darkseagreen", "darkslateblue",
    "darkslategray", "darkslategrey", "darkturquoise", "darkviolet", "deeppink", "deepskyblue",
    "dimgray", "dimgrey", "dodgerblue", "firebrick", "floralwhite", "forestgreen", "fuchsia",
    "gainsboro", "ghostwhite", "gold", "goldenrod", "gray", "green", "greenyellow", "grey", "honeydew",
    "hotpink", "indianred", "indigo", "ivory", "khaki", "lavender", "lavenderblush", "lawngreen",
    "lemonchiffon", "lightblue", "lightcoral", "lightcyan", "lightgoldenrodyellow", "lightgray",
    "lightgreen", "lightgrey", "lightpink", "lightsalmon", "lightseagreen", "lightskyblue",
    "lightslategray", "lightslategrey", "lightsteelblue", "lightyellow", "lime", "limegreen", "linen",
    "magenta", "maroon", "mediumaquamarine", "mediumblue", "mediumorchid", "mediumpurple",
    "mediumseagreen", "mediumslateblue", "mediumspringgreen", "mediumturquoise", "mediumvioletred",
    "midnightblue", "mintcream", "mistyrose", "moccasin", "navajowhite", "navy", "oldlace", "olive",
    "olivedrab", "orange", "orangered", "orchid", "palegoldenrod", "palegreen", "paleturquoise",
    "palevioletred", "papayawhip", "peachpuff", "peru", "pink", "plum", "powderblue", "purple",
    "rebeccapurple", "red", "rosybrown", "royalblue", "saddlebrown", "salmon", "sandybrown", "seagreen",
    "seashell", "sienna", "silver", "skyblue", "slateblue", "slategray", "slategrey", "snow",
    "springgreen", "steelblue", "tan", "teal", "thistle", "tomato", "turquoise", "violet", "wheat",
    "white", "whitesmoke", "yellow", "yellowgreen",
))
_HEX = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6}(?P<alpha>[0-9a-f]{2})?)", re.IGNORECASE)
_MARGIN = re.compile(r"\s{0,9}(?P<amount>[0-9]{1,5}(?:\.[0-9]{1,3})?)(?P<unit>%|px)?\s{0,9}")


@dataclass(frozen=True, slots=True)
class Margin:
    """Margin around a box: `amount` pixels on each side, or that fraction of the box's sides.

    The amount is exact: as a float, 7 % of 100 pixels would be a little more than 7 and rounded up.
    """

    amount: Fraction
    is_share: bool


def parse_margin(text: str) -> Margin:
    """Parse the option `crop_margin`, such as "20", "20px" or "5%". Raises InvalidOption."""
    margin = _MARGIN.fullmatch(text)
    if margin is None:
        raise InvalidOption("The field 'crop_margin' is not valid: write it like 20, 20px or 5%.")
    amount, is_share = Fraction(margin["amount"]), margin["unit"] == "%"
    return Margin(amount / 100 if is_share else amount, is_share)


def validate_options(options: RemovalOptions, *, has_background_file: bool = False) -> None:
    """Raise InvalidOption for invalid values and for options that exclude each other.

    `has_background_file` is whether the request has a background image.
    """
    parse_margin(options.crop_margin)
    if options.background is not None:
        validate_colour(options.background)
        if has_background_file:
            raise InvalidOption("Set either 'background' or 'background_file', not both.")
    if options.format != "jpeg" or options.output == "mask":
        return
    if options.background is None and not has_background_file:
        raise InvalidOption(
            "JPEG has no transparency: set 'background' or 'background_file', or choose png or webp."
        )
    if options.background is not None and not is_opaque(options.background):
        raise InvalidOption("JPEG has no transparency: 'background' must be an opaque colour.")


def validate_colour(colour: str) -> None:
    """Raise InvalidOption for a text that is not a colour."""
    if _HEX.fullmatch(colour) is None and colour.lower() not in COLOUR_NAMES:
        raise InvalidOption(
            "The field 'background' is not valid: write #rgb, #rrggbb, #rrggbbaa or a CSS colour name."
        )


def is_opaque(colour: str) -> bool:
    """Whether a colour has no transparency."""
    code = _HEX.fullmatch(colour)
    return code is None or (code["alpha"] or "ff").lower() == "ff"
