"""Subject boxes, margins, sizes, and crops and resizes of matted images."""

import numpy as np
import pytest
from PIL import Image

from shared.lengths import fit_within, parse_margins
from worker.imaging.geometry import (
    Box,
    Pixels,
    add_margins,
    find_subject_box,
    measure_coverage,
)
from worker.imaging.matted_image import MattedImage

RED, GREEN = (200, 30, 30), (20, 220, 20)
WHOLE = (0, 0, 200, 200)


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


def test_a_margin_may_reach_beyond_the_image() -> None:
    """There is room there: transparent, or of the background's colour."""
    box = Box(10, 20, 30, 40)
    assert add_margins(box, parse_margins("5")) == Box(5, 15, 40, 50)
    assert add_margins(box, parse_margins("10%")) == Box(7, 16, 36, 48)
    assert add_margins(box, parse_margins("50px 20px")) == Box(-10, -30, 70, 140)


def test_the_four_margins_are_in_the_order_of_css() -> None:
    """Top, right, bottom, left; a percentage is of the height for top and bottom, else of the width."""
    assert add_margins(Box(0, 0, 100, 200), parse_margins("1 2 3 4")) == Box(-4, -1, 106, 204)
    assert add_margins(Box(0, 0, 100, 200), parse_margins("1% 2% 3% 4%")) == Box(-4, -2, 106, 208)


@pytest.mark.parametrize("percent", [*range(1, 100), "0.7", "2.2"])
def test_a_percentage_of_whole_pixels_is_not_rounded_up(percent: int | str) -> None:
    """7 % of 100 pixels are 7; binary floating point gives 8."""
    grown = add_margins(Box(5000, 5000, 1000, 1000), parse_margins(f"{percent}%"))
    assert grown.width == 1000 + 2 * round(10 * float(percent))


def test_a_result_is_only_scaled_down() -> None:
    """`max_size` is a limit, and upscaling adds no detail."""
    assert fit_within((400, 300), None) == (400, 300)
    assert fit_within((400, 300), 400) == (400, 300)
    assert fit_within((400, 300), 65_535) == (400, 300)
    assert fit_within((400, 300), 100) == (100, 75)
    assert fit_within((10, 4000), 20) == (1, 20)


@pytest.mark.parametrize(
    ("size", "max_area", "fitted"),
    [
        ((3000, 2000), 250_000, (612, 408)),
        ((2000, 3000), 250_000, (408, 612)),
        ((1000, 1000), 250_000, (500, 500)),
        ((5000, 50), 1_500_000, (5000, 50)),
        ((3999, 3001), 4_000_000, (2308, 1732)),
        ((100_000, 1), 1000, (1000, 1)),
    ],
)
def test_an_area_is_never_exceeded(size: tuple[int, int], max_area: int, fitted: tuple[int, int]) -> None:
    """remove.bg's sizes are numbers of pixels; both sides shrink alike."""
    assert fit_within(size, None, max_area) == fitted


def test_both_limits_hold() -> None:
    """The stricter one decides."""
    assert fit_within((3000, 2000), 300, 250_000) == (300, 200)
    assert fit_within((3000, 2000), 3000, 250_000) == (612, 408)


def test_resizing_does_not_bleed_background_into_the_edge() -> None:
    """A filter without alpha weights mixes green into the red edge: a fringe on every other background."""
    alpha = disc()
    image = red_on_green(alpha)
    small = MattedImage(image, None, alpha).resize((67, 67), WHOLE, keep_background_mix=False)
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
    small = MattedImage(image, None, alpha).resize((67, 67), WHOLE, keep_background_mix=True)
    assert small.rgb == image.resize((67, 67), Image.Resampling.HAMMING)


def test_resizing_does_not_bleed_transparent_input_pixels() -> None:
    """A logo's transparent pixels are often black or white, and would become a rim."""
    alpha = disc()
    small = MattedImage(red_on_green(alpha), alpha, alpha).resize((67, 67), WHOLE, keep_background_mix=True)
    assert small.input_alpha is not None
    visible = small.input_alpha > 25
    assert np.abs(np.asarray(small.rgb)[visible].astype(int) - RED).max() <= 255 / 25


def test_a_crop_applies_to_colours_matte_and_input_alpha() -> None:
    """They must stay aligned."""
    alpha = disc()
    cropped = MattedImage(red_on_green(alpha), alpha, alpha).crop(Box(30, 50, 100, 80))
    assert cropped.rgb.size == (100, 80)
    assert np.array_equal(cropped.alpha, alpha[50:130, 30:130])
    assert cropped.input_alpha is not None
    assert np.array_equal(cropped.input_alpha, cropped.alpha)
    assert np.array_equal(np.asarray(cropped.rgb)[..., 0] == 200, cropped.alpha > 0)
