"""Layouts: the part of a photo that a result shows, at what size, and where the subject is in it."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from shared.errors import InvalidOption, ResultTooLarge
from shared.options import RemovalOptions
from worker.imaging.geometry import Box, Pixels
from worker.imaging.layout import Layout, bound_pixels, check_pixels, cut_out, plan_layout
from worker.imaging.matted_image import MattedImage

PHOTO = (400, 300)
WHOLE = Box(0, 0, *PHOTO)
SUBJECT = Box(100, 60, 80, 160)


def plan(box: Box | None = SUBJECT, extent: Box | None = None, **options: Any) -> Layout:
    """Return the layout of the photo with its subject."""
    return plan_layout(box, extent or box, PHOTO, RemovalOptions(**options))


def subject_in(layout: Layout) -> Box:
    """Return the subject's box in the result."""
    return layout.to_result(SUBJECT)


def test_without_options_the_result_is_the_photo() -> None:
    """Nothing is moved or scaled."""
    layout = plan()
    assert (layout.size, layout.frame, layout.scale_factor) == (PHOTO, (0, 0, *PHOTO), 1)


def test_a_crop_is_the_subject_with_its_margins() -> None:
    """Top, right, bottom, left; beyond the photo's edge there is room too."""
    assert plan(crop=True).frame == SUBJECT
    assert plan(crop=True, margin="10 20 30 40").frame == Box(60, 50, 140, 200)
    assert plan(crop=True, margin="50%").frame == Box(60, -20, 160, 320)


def test_a_crop_contains_the_shadow() -> None:
    """One that is cut off looks like a mistake."""
    assert plan(extent=Box(90, 60, 100, 190), crop=True, margin="5").frame == Box(90, 55, 100, 195)


def test_without_a_subject_nothing_is_cropped() -> None:
    """The result would be empty."""
    assert plan(None, crop=True, margin="10").frame == (0, 0, *PHOTO)


@pytest.mark.parametrize(
    ("canvas", "size", "frame"),
    [
        ("photo", (400, 300), (0, 0, 400, 300)),
        ("800x600", (800, 600), (0, 0, 400, 300)),
        ("800x800", (800, 800), (0, -50, 400, 400)),
        ("200x300", (200, 300), (0, -150, 400, 600)),
        ("1:1", (400, 400), (0, -50, 400, 400)),
        ("2:1", (600, 300), (-100, 0, 600, 300)),
    ],
)
def test_a_canvas_alone_contains_the_whole_photo(
    canvas: str, size: tuple[int, int], frame: tuple[int, ...]
) -> None:
    """Centred; a size in pixels scales the photo, an aspect ratio does not."""
    layout = plan(canvas=canvas)
    assert (layout.size, layout.frame) == (size, frame)


@pytest.mark.parametrize(
    ("options", "size", "box"),
    [
        # 85 % of the tighter side, centred: 80 x 160 to 850 x 1700.
        ({"canvas": "2000x2000", "scale": "85%"}, (2000, 2000), (575, 150, 850, 1700)),
        # The width is the tighter side of a tall canvas.
        ({"canvas": "100x1000", "scale": "80%"}, (100, 1000), (10, 420, 80, 160)),
        # Without a canvas, that of the photo.
        ({"scale": "100%"}, PHOTO, (125, 0, 150, 300)),
        ({"scale": "10%"}, PHOTO, (192, 135, 15, 30)),
        ({"scale": "80%", "position": "0%"}, PHOTO, (0, 0, 120, 240)),
        ({"scale": "80%", "position": "100% 50%"}, PHOTO, (280, 30, 120, 240)),
        # Without a scale, the photo's own.
        ({"position": "center"}, PHOTO, (160, 70, 80, 160)),
        ({"position": "100% 0%"}, PHOTO, (320, 0, 80, 160)),
        ({"position": "25% 75%"}, PHOTO, (80, 105, 80, 160)),
        # Margins are kept free: in pixels of the result, or in percent of the subject in it.
        ({"canvas": "1000x1000", "margin": "100"}, (1000, 1000), (300, 100, 400, 800)),
        ({"canvas": "1000x1000", "margin": "12.5%"}, (1000, 1000), (300, 100, 400, 800)),
        ({"canvas": "1000x1000", "margin": "0 0 200 100"}, (1000, 1000), (350, 0, 400, 800)),
        ({"canvas": "1000x1000", "margin": "100", "scale": "50%"}, (1000, 1000), (375, 250, 250, 500)),
        ({"canvas": "1000x1000", "margin": "200", "scale": "100%"}, (1000, 1000), (350, 200, 300, 600)),
        ({"canvas": "1000x1000", "margin": "100", "position": "0%"}, (1000, 1000), (100, 100, 400, 800)),
        # A crop fills the canvas with the subject and its margins.
        ({"canvas": "1000x1000", "crop": True}, (1000, 1000), (250, 0, 500, 1000)),
        ({"canvas": "1:1", "crop": True, "margin": "20"}, (200, 200), (60, 20, 80, 160)),
        ({"canvas": "1:2", "crop": True}, (80, 160), (0, 0, 80, 160)),
        ({"crop": True, "scale": "50%"}, (80, 160), (20, 40, 40, 80)),
        ({"canvas": "photo", "crop": True}, PHOTO, (160, 70, 80, 160)),
        # The limits apply to the whole.
        ({"canvas": "2000x2000", "scale": "85%", "max_size": 200}, (200, 200), (58, 15, 85, 170)),
        ({"canvas": "2000x2000", "scale": "85%", "max_area": 10_000}, (100, 100), (29, 8, 42, 85)),
    ],
)
def test_the_subject_is_where_the_options_say(
    options: dict[str, Any], size: tuple[int, int], box: tuple[int, ...]
) -> None:
    """Known answers, by hand."""
    layout = plan(**options)
    assert layout.size == size
    assert subject_in(layout) == pytest.approx(box, abs=0.51)


def test_the_scale_factor_is_of_the_photo_s_pixels() -> None:
    """A shop shows products to scale by it."""
    assert plan(canvas="2000x2000", scale="85%").scale_factor == pytest.approx(1700 / 160)
    assert plan(max_size=100).scale_factor == pytest.approx(0.25)


def test_margins_without_room_are_refused_by_name() -> None:
    """Else the subject would have no pixel."""
    with pytest.raises(InvalidOption, match="'margin'"):
        plan(canvas="100x100", margin="50")


def test_a_result_beyond_the_service_s_limit_is_refused() -> None:
    """A request of a few bytes must not take gigabytes."""
    huge = plan(crop=True, margin="99999px")
    with pytest.raises(ResultTooLarge, match="'canvas' or 'margin'"):
        check_pixels(huge, 100_000_000)
    check_pixels(plan(crop=True, margin="99999px", max_size=1000), 100_000_000)
    check_pixels(plan(), 400 * 300)


@pytest.mark.parametrize(
    ("options", "pixels"),
    [
        ({}, 120_000),
        ({"canvas": "2000x1000"}, 2_000_000),
        ({"canvas": "1:1"}, 160_000),
        ({"crop": True, "margin": "300 0 0 600"}, 600_000),
        ({"max_size": 40}, 1200),
    ],
)
def test_the_size_is_bounded_before_the_subject_is_known(options: dict[str, Any], pixels: int) -> None:
    """The memory gate asks for it before anything is decoded."""
    assert bound_pixels(PHOTO, RemovalOptions(**options)) == pixels


def photo() -> MattedImage:
    """Return a photo with a red subject on green, each pixel of which is opaque or clear."""
    alpha: Pixels = np.zeros(PHOTO[::-1], np.uint8)
    left, top, right, bottom = SUBJECT.corners
    alpha[top:bottom, left:right] = 255
    colours = np.where(alpha[..., np.newaxis] > 0, (200, 30, 30), (20, 220, 20)).astype(np.uint8)
    return MattedImage(Image.fromarray(colours), None, alpha)


def cut(layout: Layout, *, is_mask: bool = False) -> MattedImage:
    """Return the part of the photo that the layout shows."""
    return cut_out(photo(), layout, layout.find_target(WHOLE), keep_background_mix=False, is_mask=is_mask)


def test_moving_by_whole_pixels_changes_none() -> None:
    """The subject's pixels stay the photo's own."""
    layout = plan(position="100% 0%")
    piece, target = cut(layout), layout.find_target(WHOLE)
    assert (target.width, target.height) == piece.rgb.size == (180, 240)
    assert piece.alpha[:160, 100:].min() == 255
    assert piece.alpha.sum() == photo().alpha.sum()


def test_what_is_beyond_the_canvas_is_not_computed() -> None:
    """A subject enlarged tenfold would make the photo a hundred times as large."""
    layout = plan(canvas="200x200", scale="100%")
    assert cut(layout).rgb.size == (200, 200)
    assert layout.find_target(WHOLE) == (0, 0, 200, 200)


@pytest.mark.parametrize("is_mask", [True, False])
@pytest.mark.parametrize("scale", ["30%", "100%"])
def test_the_pixels_agree_with_the_plan(scale: str, *, is_mask: bool) -> None:
    """The subject's box, measured in the pixels, is the planned one."""
    layout = plan(canvas="640x480", scale=scale, position="20% 70%")
    piece, target = cut(layout, is_mask=is_mask), layout.find_target(WHOLE)
    down, across = np.nonzero(piece.alpha >= 128)
    measured = (across.min() + target.left, down.min() + target.top, np.ptp(across) + 1, np.ptp(down) + 1)
    assert measured == pytest.approx(subject_in(layout), abs=1)


def test_scaling_does_not_bleed_the_background() -> None:
    """Enlarged edges are the subject's colour too."""
    for scale in ("20%", "100%"):
        piece = cut(plan(canvas="900x900", scale=scale))
        visible = np.asarray(piece.rgb)[piece.alpha > 25]
        assert visible[:, 1].max() <= 60


@pytest.mark.parametrize("size", [(10_000, 1), (1, 10_000), (3, 5)])
@pytest.mark.parametrize("position", ["0%", "100%", "37%"])
def test_the_thinnest_photos_keep_a_pixel(size: tuple[int, int], position: str) -> None:
    """No division by zero, no empty image."""
    thin = MattedImage(Image.new("RGB", size), None, np.full(size[::-1], 255, np.uint8))
    options = RemovalOptions(canvas="100x100", scale="100%", position=position)
    layout = plan_layout(Box(0, 0, *size), None, size, options)
    target = layout.find_target(Box(0, 0, *size))
    piece = cut_out(thin, layout, target, keep_background_mix=False, is_mask=False)
    assert piece.rgb.size == (target.width, target.height)
    assert piece.alpha.max() > 0
