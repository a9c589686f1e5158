"""Subject boxes, margins, sizes, and crops and resizes of matted images."""

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from shared.errors import InvalidOption
from shared.option_validation import Margin, parse_margin
from worker.imaging.geometry import (
    Box,
    Matted,
    Pixels,
    add_margin,
    find_subject_box,
    fit_within,
    measure_coverage,
)

RED, GREEN = (200, 30, 30), (20, 220, 20)


def disc(side: int = 200) -> Pixels:
    """Return the matte of a centred disc with a hard edge."""
    y, x = np.ogrid[:side, :side]
    return np.where(np.hypot(y - side / 2, x - side / 2) < side / 3, 255, 0).astype(np.uint8)


def red_on_green(alpha: Pixels) -> Image.Image:
    """Return an image of a red subject on a green background."""
    return Image.fromarray(np.where(alpha[..., np.newaxis] > 0, RED, GREEN).astype(np.uint8))


def test_the_subject_box_includes_faint_hair_and_ignores_haze() -> None:
    """Networks leave a faint haze far from the subject."""
    alpha = np.zeros((60, 80), np.uint8)
    alpha[20:30, 10:40] = 255
    alpha[30, 40] = 20  # a hair
    alpha[0, 79] = 5  # haze
    assert find_subject_box(alpha) == Box(10, 20, 31, 11)
    assert find_subject_box(np.full((3, 5), 255, np.uint8)) == Box(0, 0, 5, 3)


def test_a_subject_needs_half_opacity_and_its_box_starts_at_five_percent() -> None:
    """Both thresholds are documented."""
    alpha = np.array([[12, 13, 128]], np.uint8)
    assert find_subject_box(alpha) == Box(1, 0, 2, 1)
    assert find_subject_box(alpha[:, :2]) is None


def test_an_image_without_a_subject_has_no_box() -> None:
    """Haze everywhere is not a subject."""
    assert find_subject_box(np.full((60, 80), 127, np.uint8)) is None
    assert find_subject_box(np.zeros((1, 1), np.uint8)) is None


def test_coverage_is_the_mean_alpha() -> None:
    """From 0 to 1."""
    alpha = np.zeros((10, 10), np.uint8)
    assert measure_coverage(alpha) == 0
    alpha[:5] = 255
    assert measure_coverage(alpha) == 0.5
    alpha[:5] = 51
    assert measure_coverage(alpha) == pytest.approx(0.1)


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
    """The documented notations."""
    assert parse_margin(text) == margin


@pytest.mark.parametrize(
    "text", ["", "-5", "5 %", "a", "5em", "1e3", "999999", "\u0665", "5%px", "1,5%", " " * 99 + "5"]
)
def test_any_other_margin_is_rejected(text: str) -> None:
    """A typo must not become a crop without a margin."""
    with pytest.raises(InvalidOption, match="20px or 5%"):
        parse_margin(text)


def test_a_margin_is_clipped_to_the_image() -> None:
    """There are no pixels outside."""
    box = Box(10, 20, 30, 40)
    assert add_margin(box, Margin(Fraction(5), is_share=False), (100, 100)) == Box(5, 15, 40, 50)
    assert add_margin(box, Margin(Fraction("0.1"), is_share=True), (100, 100)) == Box(7, 16, 36, 48)
    assert add_margin(box, Margin(Fraction(99_999), is_share=False), (100, 90)) == Box(0, 0, 100, 90)


@pytest.mark.parametrize("percent", [*range(1, 100), "0.7", "2.2"])
def test_a_percentage_of_whole_pixels_is_not_rounded_up(percent: int | str) -> None:
    """7 % of 100 pixels are 7; binary floating point gives 8."""
    box = Box(5000, 5000, 1000, 1000)
    grown = add_margin(box, parse_margin(f"{percent}%"), (11_000, 11_000))
    assert grown.width == 1000 + 2 * round(10 * float(percent))


def test_a_result_is_only_scaled_down() -> None:
    """`max_size` is a limit, and upscaling adds no detail."""
    assert fit_within((400, 300), None) == (400, 300)
    assert fit_within((400, 300), 400) == (400, 300)
    assert fit_within((400, 300), 65_535) == (400, 300)
    assert fit_within((400, 300), 100) == (100, 75)
    assert fit_within((10, 4000), 20) == (1, 20)


def test_resizing_does_not_bleed_background_into_the_edge() -> None:
    """A filter without alpha weights mixes green into the red edge: a fringe on every other background."""
    alpha = disc()
    image = red_on_green(alpha)
    small = Matted(image, None, alpha).resize((67, 67), keep_background_mix=False)
    edge = (small.alpha > 25) & (small.alpha < 230)
    colours = np.asarray(small.rgb)[edge].astype(int)
    assert len(colours) > 20
    assert np.abs(colours - RED).max() <= 255 / 25
    plain = np.asarray(image.resize((67, 67), Image.Resampling.HAMMING))[edge]
    assert plain[:, 1].max() > 120, "without weights there is a fringe"
    assert small.alpha.shape == (67, 67)
    assert (np.asarray(small.rgb)[small.alpha == 255] == RED).all(), "no overshoot inside either"


def test_keep_background_mix_resizes_as_a_camera_mixes() -> None:
    """Foreground estimation expects it; it overcorrects colours that are weighted already."""
    alpha = disc()
    image = red_on_green(alpha)
    small = Matted(image, None, alpha).resize((67, 67), keep_background_mix=True)
    assert small.rgb == image.resize((67, 67), Image.Resampling.HAMMING)


def test_resizing_does_not_bleed_transparent_input_pixels() -> None:
    """A logo's transparent pixels are often black or white, and would become a rim."""
    alpha = disc()
    small = Matted(red_on_green(alpha), alpha, alpha).resize((67, 67), keep_background_mix=True)
    assert small.input_alpha is not None
    visible = small.input_alpha > 25
    assert np.abs(np.asarray(small.rgb)[visible].astype(int) - RED).max() <= 255 / 25


def test_a_crop_applies_to_colours_matte_and_input_alpha() -> None:
    """They must stay aligned."""
    alpha = disc()
    cropped = Matted(red_on_green(alpha), alpha, alpha).crop(Box(30, 50, 100, 80))
    assert cropped.rgb.size == (100, 80)
    assert np.array_equal(cropped.alpha, alpha[50:130, 30:130])
    assert cropped.input_alpha is not None
    assert np.array_equal(cropped.input_alpha, cropped.alpha)
    assert np.array_equal(np.asarray(cropped.rgb)[..., 0] == 200, cropped.alpha > 0)
