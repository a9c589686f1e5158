"""The refinement pass for detail=high: which crop it takes, and how it is blended in."""

import numpy as np
import pytest
from numpy.typing import NDArray

from worker.imaging.geometry import Box
from worker.imaging.matting import blend_crop, refinement_box


def subject(height: int, width: int, box: Box) -> NDArray[np.uint8]:
    """Return a matte with an opaque rectangle."""
    alpha = np.zeros((height, width), np.uint8)
    left, top, right, bottom = box.corners
    alpha[top:bottom, left:right] = 255
    return alpha


def test_the_crop_is_the_subjects_bounding_box_with_a_margin() -> None:
    """The coarse first pass may have missed parts of the subject."""
    box = refinement_box(subject(1000, 2000, Box(900, 400, 200, 100)))
    assert box is not None
    assert 850 < box.left < 890
    assert 1110 < box.left + box.width < 1150
    assert 350 < box.top < 390
    assert 510 < box.top + box.height < 550


def test_faint_pixels_count_as_subject_and_haze_does_not() -> None:
    """Hair and glass need the refinement; with haze, the crop would be the whole image."""
    alpha = np.zeros((100, 100), np.uint8)
    alpha[:40, :40] = 31
    assert refinement_box(alpha) is None
    alpha[10:20, 10:20] = 32
    assert refinement_box(alpha) == Box(7, 7, 16, 16)


def test_the_crop_is_clipped_to_the_image() -> None:
    """The margin of a subject at the border must not leave the image."""
    assert refinement_box(subject(100, 100, Box(0, 60, 20, 40))) == Box(0, 53, 27, 47)


@pytest.mark.parametrize("box", [Box(0, 0, 0, 0), Box(5, 5, 90, 90)], ids=["no subject", "all subject"])
def test_there_is_no_crop_without_a_gain_in_resolution(box: Box) -> None:
    """An empty matte has no bounding box; a subject that fills the image has full resolution already."""
    assert refinement_box(subject(100, 100, box)) is None


@pytest.mark.parametrize(
    ("size", "box"),
    [
        ((1000, 600), Box(220, 20, 160, 960)),  # a standing person
        ((600, 1000), Box(20, 220, 960, 160)),  # a lying one
        ((600, 1000), Box(420, 10, 160, 580)),
        ((1000, 600), Box(10, 420, 580, 160)),
    ],
    ids=["tall in tall", "wide in wide", "tall in wide", "wide in tall"],
)
def test_a_subject_as_long_as_one_side_still_gets_its_crop(size: tuple[int, int], box: Box) -> None:
    """Only a crop of nearly the whole image adds no resolution."""
    crop = refinement_box(subject(*size, box))
    assert crop is not None
    assert crop.width * crop.height <= 0.75 * size[0] * size[1]


@pytest.mark.parametrize(("length", "is_refined"), [(560, True), (660, False)])
@pytest.mark.parametrize("side", ["width", "height"])
def test_a_crop_of_three_quarters_of_both_sides_is_the_limit(
    side: str, length: int, *, is_refined: bool
) -> None:
    """Of each side by its own length; the margin counts."""
    other = 900
    width, height = (length, other) if side == "width" else (other, length)
    assert (refinement_box(subject(1000, 1000, Box(0, 0, width, height))) is not None) == is_refined


def test_the_crop_is_blended_with_a_ramp_at_its_borders() -> None:
    """A hard change at the crop's border would be a line across the matte."""
    first, box = np.zeros((200, 300), np.uint8), Box(100, 50, 100, 100)
    mixed = blend_crop(first, np.full((100, 100), 255, np.uint8), box)
    assert (mixed[70:130, 120:180] == 255).all()
    assert np.abs(np.diff(mixed[100].astype(int))).max() < 60
    outside = mixed.copy()
    outside[50:150, 100:200] = 0
    assert not outside.any()


def test_there_is_no_ramp_at_the_images_own_border() -> None:
    """Beyond it is no first pass to blend with."""
    mixed = blend_crop(np.zeros((100, 100), np.uint8), np.full((40, 50), 255, np.uint8), Box(0, 0, 50, 40))
    assert (mixed[:20, :25] == 255).all()
