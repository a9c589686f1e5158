"""What the declaration of the options cannot say: how their strings read, and which exclude each other."""

import re
from dataclasses import dataclass
from fractions import Fraction

from shared.colour_names import COLOUR_NAMES
from shared.errors import InvalidOption
from shared.options import RemovalOptions

_HEX = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6}(?P<alpha>[0-9a-f]{2})?)", re.IGNORECASE)
_MARGIN = re.compile(r"\s{0,9}(?P<amount>[0-9]{1,5}(?:\.[0-9]{1,3})?)(?P<unit>%|px)?\s{0,9}")


@dataclass(frozen=True, slots=True)
class Margin:
    """Room around a box: `amount` pixels on each side, or that part of the box's side, 1 for all of it.

    The amount is exact: 7 % of 100 pixels are 7, and not a little more, which would be rounded up.
    """

    amount: Fraction
    is_share: bool


def margin_from(text: str) -> Margin:
    """Return what `crop_margin` says: "20", "20px" or "5%". Raises InvalidOption."""
    said = _MARGIN.fullmatch(text)
    if said is None:
        raise InvalidOption("The field 'crop_margin' is not valid: it reads like 20, 20px or 5%.")
    amount, is_share = Fraction(said["amount"]), said["unit"] == "%"
    return Margin(amount / 100 if is_share else amount, is_share)


def check(options: RemovalOptions) -> None:
    """Raise InvalidOption for options that cannot be honoured, together or alone."""
    margin_from(options.crop_margin)
    if options.background is not None:
        check_colour(options.background)
        if options.background_file is not None:
            raise InvalidOption("Give either 'background' or 'background_file', not both.")
    if options.format != "jpeg" or options.output == "mask":
        return
    if options.background is None and options.background_file is None:
        raise InvalidOption(
            "A jpeg has no transparency: give 'background' or 'background_file', or take png or webp."
        )
    if options.background is not None and not is_opaque(options.background):
        raise InvalidOption("A jpeg has no transparency: give 'background' an opaque colour.")


def check_colour(colour: str) -> None:
    """Raise InvalidOption for what is no colour."""
    if _HEX.fullmatch(colour) is None and colour.lower() not in COLOUR_NAMES:
        raise InvalidOption(
            "The field 'background' is not valid: it is #rgb, #rrggbb, #rrggbbaa or a CSS colour name."
        )


def is_opaque(colour: str) -> bool:
    """Whether a colour lets nothing through."""
    code = _HEX.fullmatch(colour)
    return code is None or (code["alpha"] or "ff").lower() == "ff"
