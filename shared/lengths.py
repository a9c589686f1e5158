"""Parsers of the options for a result's geometry: lengths, margins, canvases, positions and scales.

Amounts are exact fractions: as a float, 7 % of 100 pixels would be a little more than 7 and rounded up.
"""

import math
import re
from dataclasses import dataclass
from fractions import Fraction

from shared.errors import InvalidOption

_MAX_TEXT = 100  # characters: options travel in messages of bounded size
_LENGTH = re.compile(r"(?P<amount>-?[0-9]{1,5}(?:\.[0-9]{1,3})?)(?P<unit>%|px)?")
_PERCENT = re.compile(r"(?P<amount>[0-9]{1,3}(?:\.[0-9]{1,3})?)%?")
_CANVAS = re.compile(r"\s*(?P<width>[0-9]{1,5})\s*(?P<mark>[xX:])\s*(?P<height>[0-9]{1,5})\s*")


@dataclass(frozen=True, slots=True)
class Length:
    """`amount` pixels, or that fraction of a side."""

    amount: Fraction
    is_share: bool

    def to_pixels(self, side: float | Fraction) -> Fraction:
        """Return the pixels, with `side` as the length that a share refers to."""
        return self.amount * Fraction(side) if self.is_share else self.amount


@dataclass(frozen=True, slots=True)
class Margins:
    """Room around a box; a share refers to its height (top, bottom) or its width (right, left)."""

    top: Length
    right: Length
    bottom: Length
    left: Length

    @classmethod
    def uniform(cls, length: Length) -> "Margins":
        """Return the same margin on every side."""
        return cls(length, length, length, length)


@dataclass(frozen=True, slots=True)
class Canvas:
    """A result's size in pixels, or, with `is_aspect`, its aspect ratio."""

    width: int
    height: int
    is_aspect: bool


def parse_lengths(
    text: str, option: str, counts: tuple[int, ...], example: str, *, signed: bool = False
) -> list[Length]:
    """Parse lengths such as "20", "20px" or "5%", separated by spaces.

    `counts` are the allowed numbers of them; `example` completes "write it like ...". Raises InvalidOption.
    """
    words = text.split() if len(text) <= _MAX_TEXT else []
    matches = [_LENGTH.fullmatch(word) for word in words]
    lengths = [_to_length(match) for match in matches if match is not None]
    is_negative = any(length.amount < 0 for length in lengths)
    if len(lengths) != len(words) or len(words) not in counts or (is_negative and not signed):
        raise InvalidOption(f"The field '{option}' is not valid: write it like {example}.")
    return lengths


def parse_margins(text: str, option: str = "margin") -> Margins:
    """Parse one, two or four lengths in CSS's order: top, right, bottom, left. Raises InvalidOption."""
    match parse_lengths(text, option, (1, 2, 4), "20, 20px or 5%, once, twice or for each of the four sides"):
        case [all_sides]:
            return Margins.uniform(all_sides)
        case [vertical, horizontal]:
            return Margins(vertical, horizontal, vertical, horizontal)
        case sides:
            return Margins(*sides)


def parse_region(text: str, option: str = "roi") -> tuple[Length, Length, Length, Length]:
    """Parse a rectangle: left, top, right, bottom. Raises InvalidOption."""
    left, top, right, bottom = parse_lengths(text, option, (4,), "left top right bottom: 10% 0 100% 400px")
    return left, top, right, bottom


def parse_shadow_blur(text: str) -> Length:
    """Parse the option `shadow_blur`. Raises InvalidOption."""
    (blur,) = parse_lengths(text, "shadow_blur", (1,), "10px or 2%")
    return blur


def parse_shadow_offset(text: str) -> tuple[Length, Length]:
    """Parse the option `shadow_offset`: right and down, either may be negative. Raises InvalidOption."""
    across, down = parse_lengths(text, "shadow_offset", (2,), "10px 20px or 2% 3%", signed=True)
    return across, down


def parse_canvas(text: str) -> Canvas | None:
    """Parse the option `canvas`, such as "2000x2000" or "4:5"; None for "photo". Raises InvalidOption."""
    if text.strip() == "photo":
        return None
    match = _CANVAS.fullmatch(text) if len(text) <= _MAX_TEXT else None
    if match is None or not (width := int(match["width"])) or not (height := int(match["height"])):
        raise InvalidOption(
            "The field 'canvas' is not valid: write it like 2000x2000 (pixels), 4:5 (aspect ratio) or photo."
        )
    return Canvas(width, height, is_aspect=match["mark"] == ":")


def parse_scale(text: str) -> Fraction:
    """Parse the option `scale`, 10 % to 100 %, as a fraction. Raises InvalidOption."""
    match = _PERCENT.fullmatch(text.strip())
    share = Fraction(match["amount"]) / 100 if match else Fraction(0)
    if not Fraction(1, 10) <= share <= 1:
        raise InvalidOption("The field 'scale' is not valid: write a percentage from 10% to 100%.")
    return share


def parse_position(text: str) -> tuple[Fraction, Fraction]:
    """Parse the option `position` as shares of the free room, horizontal and vertical.

    As in CSS's `background-position`, 0 is flush left or top, 1 flush right or bottom. Raises InvalidOption.
    """
    words = text.split() if len(text) <= _MAX_TEXT else []
    words = ["50%" if word == "center" else word for word in words]
    matches = [_PERCENT.fullmatch(word) for word in words]
    shares = [Fraction(match["amount"]) / 100 for match in matches if match is not None]
    if len(shares) != len(words) or len(words) not in (1, 2) or max(shares) > 1:
        raise InvalidOption(
            "The field 'position' is not valid: write center, or one or two percentages from 0% to 100%."
        )
    return shares[0], shares[-1]


def fit_within(size: tuple[int, int], max_side: int | None, max_area: int | None = None) -> tuple[int, int]:
    """Return `size` (width, height) scaled down to a maximum longer side and area; never up."""
    side_scale = 1.0 if max_side is None else max_side / max(size)
    area_scale = 1.0 if max_area is None else math.sqrt(max_area / (size[0] * size[1]))
    scale = min(1.0, side_scale, area_scale)
    width, height = (max(1, round(side * scale)) for side in size)
    if max_area is not None and width * height > max_area:
        width, height = (max(1, int(side * scale)) for side in size)
        width = min(width, max(1, max_area // height))
        height = min(height, max(1, max_area // width))
    return width, height


def _to_length(match: re.Match[str]) -> Length:
    amount, is_share = Fraction(match["amount"]), match["unit"] == "%"
    return Length(amount / 100 if is_share else amount, is_share)
