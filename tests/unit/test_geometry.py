"""Where the subject is, and what of the photo becomes the result."""

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from shared.errors import InvalidOption
from shared.option_validation import Margin, parse_margin
from worker.imaging.geometry import Box, Cut, Pixels, coverage, fitted, subject_box, with_margin

RED, GREEN = (200, 30, 30), (20, 220, 20)


def disc(side: int = 200) -> Pixels:
    """The alpha of a disc with a hard edge, in the middle."""
    y, x = np.ogrid[:side, :side]
    return np.where(np.hypot(y - side / 2, x - side / 2) < side / 3, 255, 0).astype(np.uint8)


def red_on_green(alpha: Pixels) -> Image.Image:
    """A photo of a red subject in front of a green wall."""
    return Image.fromarray(np.where(alpha[..., np.newaxis] > 0, RED, GREEN).astype(np.uint8))


def test_the_box_holds_all_that_shows_and_no_haze() -> None:
    """A crop must cut off no hair, and networks leave a faint haze far from the subject."""
    alpha = np.zeros((60, 80), np.uint8)
    alpha[20:30, 10:40] = 255
    alpha[30, 40] = 20  # a hair
    alpha[0, 79] = 5  # haze
    assert subject_box(alpha) == Box(10, 20, 31, 11)
    assert subject_box(np.full((3, 5), 255, np.uint8)) == Box(0, 0, 5, 3)


def test_a_subject_is_half_opaque_and_shows_from_five_percent() -> None:
    """The README says so; a programme that compares with the alpha itself relies on both."""
    alpha = np.array([[12, 13, 128]], np.uint8)
    assert subject_box(alpha) == Box(1, 0, 2, 1)
    assert subject_box(alpha[:, :2]) is None


def test_a_photo_of_nothing_has_no_box() -> None:
    """Haze all over is no subject."""
    assert subject_box(np.full((60, 80), 127, np.uint8)) is None
    assert subject_box(np.zeros((1, 1), np.uint8)) is None


def test_coverage_is_the_share_of_the_photo() -> None:
    """Half a photo at half opacity is a quarter."""
    alpha = np.zeros((10, 10), np.uint8)
    assert coverage(alpha) == 0
    alpha[:5] = 255
    assert coverage(alpha) == 0.5
    alpha[:5] = 51
    assert coverage(alpha) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("text", "margin"),
    [
        ("0", Margin(Fraction(0), is_share=False)),
        ("20", Margin(Fraction(20), is_share=False)),
        (" 20px ", Margin(Fraction(20), is_share=False)),
        ("5%", Margin(Fraction("0.05"), is_share=True)),
        ("12.5%", Margin(Fraction("0.125"), is_share=True)),
    ],
)
def test_a_margin_reads_as_pixels_or_as_a_share(text: str, margin: Margin) -> None:
    """The forms that the help names."""
    assert parse_margin(text) == margin


@pytest.mark.parametrize(
    "text", ["", "-5", "5 %", "a", "5em", "1e3", "999999", "\u0665", "5%px", "1,5%", " " * 99 + "5"]
)
def test_any_other_margin_is_refused(text: str) -> None:
    """A typo must not become a crop without room."""
    with pytest.raises(InvalidOption, match="20px or 5%"):
        parse_margin(text)


def test_a_margin_ends_where_the_photo_does() -> None:
    """Nothing is made up around the photo."""
    box = Box(10, 20, 30, 40)
    assert with_margin(box, Margin(Fraction(5), is_share=False), (100, 100)) == Box(5, 15, 40, 50)
    assert with_margin(box, Margin(Fraction("0.1"), is_share=True), (100, 100)) == Box(7, 16, 36, 48)
    assert with_margin(box, Margin(Fraction(99_999), is_share=False), (100, 90)) == Box(0, 0, 100, 90)


@pytest.mark.parametrize("percent", [*range(1, 100), "0.7", "2.2"])
def test_a_share_that_comes_to_whole_pixels_is_not_rounded_up(percent: int | str) -> None:
    """7 % of 100 pixels are 7; binary fractions would make it 8."""
    box = Box(5000, 5000, 1000, 1000)
    room = with_margin(box, parse_margin(f"{percent}%"), (11_000, 11_000))
    assert room.width == 1000 + 2 * round(10 * float(percent))


def test_a_result_is_only_ever_scaled_down() -> None:
    """Made-up pixels would be no improvement."""
    assert fitted((400, 300), None) == (400, 300)
    assert fitted((400, 300), 400) == (400, 300)
    assert fitted((400, 300), 65_535) == (400, 300)
    assert fitted((400, 300), 100) == (100, 75)
    assert fitted((10, 4000), 20) == (1, 20)


def test_scaling_lets_no_background_into_the_edge() -> None:
    """A plain filter mixes the green wall into the red edge: a fringe on every other background."""
    alpha = disc()
    photo = red_on_green(alpha)
    small = Cut(photo, None, alpha).scaled((67, 67), keeps_mixture=False)
    edge = (small.alpha > 25) & (small.alpha < 230)
    colours = np.asarray(small.rgb)[edge].astype(int)
    assert len(colours) > 20
    assert np.abs(colours - RED).max() <= 255 / 25
    plain = np.asarray(photo.resize((67, 67), Image.Resampling.HAMMING))[edge]
    assert plain[:, 1].max() > 120, "the photo scaled by itself has the fringe"
    assert small.alpha.shape == (67, 67)
    assert (np.asarray(small.rgb)[small.alpha == 255] == RED).all(), "no rim inside either"


def test_a_mixture_is_kept_for_those_who_take_it_apart() -> None:
    """The edge's colours must be what a camera with fewer pixels had seen, or refining overdoes it."""
    alpha = disc()
    photo = red_on_green(alpha)
    small = Cut(photo, None, alpha).scaled((67, 67), keeps_mixture=True)
    assert small.rgb == photo.resize((67, 67), Image.Resampling.HAMMING)


def test_colours_hidden_by_the_photos_own_transparency_stay_hidden() -> None:
    """A logo's hidden pixels are often black or white, and would show as its rim."""
    own = disc()
    small = Cut(red_on_green(own), own, own).scaled((67, 67), keeps_mixture=True)
    assert small.own is not None
    seen = small.own > 25
    assert np.abs(np.asarray(small.rgb)[seen].astype(int) - RED).max() <= 255 / 25


def test_a_part_is_cut_out_of_everything() -> None:
    """Colours, alpha and own transparency must stay in register."""
    alpha = disc()
    part = Cut(red_on_green(alpha), alpha, alpha).part(Box(30, 50, 100, 80))
    assert part.rgb.size == (100, 80)
    assert np.array_equal(part.alpha, alpha[50:130, 30:130])
    assert part.own is not None
    assert np.array_equal(part.own, part.alpha)
    assert np.array_equal(np.asarray(part.rgb)[..., 0] == 200, part.alpha > 0)
