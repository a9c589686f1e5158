"""Notation of lengths, margins, regions, canvases, scales and positions."""

from fractions import Fraction

import pytest

from shared.errors import InvalidOption
from shared.lengths import (
    Canvas,
    Length,
    Margins,
    parse_canvas,
    parse_lengths,
    parse_margins,
    parse_position,
    parse_region,
    parse_scale,
)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("0", Length(Fraction(0), is_share=False)),
        ("20", Length(Fraction(20), is_share=False)),
        (" 20px ", Length(Fraction(20), is_share=False)),
        ("5%", Length(Fraction("0.05"), is_share=True)),
        ("12.5%", Length(Fraction("0.125"), is_share=True)),
    ],
)
def test_a_margin_reads_as_pixels_or_as_a_share(text: str, length: Length) -> None:
    """The documented notations."""
    assert parse_margins(text) == Margins.uniform(length)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-5",
        "5 %",
        "a",
        "5em",
        "1e3",
        "999999",
        "\u0665",
        "5%px",
        "1,5%",
        " " * 99 + "55",
        "1 2 3",
        "1 2 3 4 5",
    ],
)
def test_any_other_margin_is_rejected(text: str) -> None:
    """A typo must not become a crop without a margin."""
    with pytest.raises(InvalidOption, match=r"'margin'.*20px or 5%"):
        parse_margins(text)


def test_two_margins_are_vertical_then_horizontal() -> None:
    """As in CSS."""
    one, two = Length(Fraction(1), is_share=False), Length(Fraction("0.02"), is_share=True)
    assert parse_margins("1 2%") == Margins(top=one, right=two, bottom=one, left=two)


def test_only_signed_lengths_may_be_negative() -> None:
    """A shadow may fall to the left; a margin cannot be less than nothing."""
    assert [float(length.amount) for length in parse_lengths("-3 4px", "x", (2,), "", signed=True)] == [-3, 4]
    with pytest.raises(InvalidOption):
        parse_lengths("-3 4px", "x", (2,), "")


def test_a_region_has_four_sides() -> None:
    """Clients of remove.bg send zeros without a unit."""
    assert [length.is_share for length in parse_region("0 10px 100% 50%")] == [False, False, True, True]
    with pytest.raises(InvalidOption, match=r"'roi'.*left top right bottom"):
        parse_region("0 0 10")


@pytest.mark.parametrize(
    ("text", "canvas"),
    [
        ("2000x1000", Canvas(2000, 1000, is_aspect=False)),
        (" 20 X 10 ", Canvas(20, 10, is_aspect=False)),
        ("4:5", Canvas(4, 5, is_aspect=True)),
        ("photo", None),
    ],
)
def test_a_canvas_is_a_size_an_aspect_ratio_or_the_photo(text: str, canvas: Canvas | None) -> None:
    """The documented notations."""
    assert parse_canvas(text) == canvas


@pytest.mark.parametrize(
    "text", ["", "2000", "0x10", "10x0", "1:0", "4/5", "-1x5", "1.5:1", "photos", "9" * 6 + "x1"]
)
def test_any_other_canvas_is_rejected(text: str) -> None:
    """The message shows every notation."""
    with pytest.raises(InvalidOption, match=r"2000x2000.*4:5.*photo"):
        parse_canvas(text)


@pytest.mark.parametrize(("text", "share"), [("10%", "0.1"), ("100", "1"), ("33.3%", "0.333")])
def test_a_scale_is_a_percentage(text: str, share: str) -> None:
    """With or without its sign."""
    assert parse_scale(text) == Fraction(share)


@pytest.mark.parametrize("text", ["", "9.999%", "100.1%", "0.5", "original", "-20%"])
def test_a_scale_outside_of_its_limits_is_rejected(text: str) -> None:
    """Both limits are inclusive."""
    with pytest.raises(InvalidOption, match=r"'scale'.*10% to 100%"):
        parse_scale(text)


@pytest.mark.parametrize(
    ("text", "position"),
    [("center", (0.5, 0.5)), ("0%", (0, 0)), ("100 25%", (1, 0.25)), ("center 100%", (0.5, 1))],
)
def test_a_position_is_horizontal_then_vertical(text: str, position: tuple[float, float]) -> None:
    """As CSS's background-position; one value is for both."""
    assert tuple(map(float, parse_position(text))) == position


@pytest.mark.parametrize("text", ["", "left", "101%", "-1%", "1% 2% 3%", "10px"])
def test_any_other_position_is_rejected(text: str) -> None:
    """Lengths would depend on the canvas."""
    with pytest.raises(InvalidOption, match=r"'position'"):
        parse_position(text)
