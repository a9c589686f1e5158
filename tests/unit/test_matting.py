"""The refinement pass for detail=high: which crop it takes, and how it is blended in."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from shared.errors import RoiExceedsBounds, RoiRegionEmpty
from tests.fake_workers.by_light import Light
from worker.imaging.colour import ModelInput
from worker.imaging.geometry import Box
from worker.imaging.matting import blend_crop, compute_matte, find_refinement_box, find_region


def subject(height: int, width: int, box: Box) -> NDArray[np.uint8]:
    """Return a matte with an opaque rectangle."""
    alpha = np.zeros((height, width), np.uint8)
    left, top, right, bottom = box.corners
    alpha[top:bottom, left:right] = 255
    return alpha


def test_the_crop_is_the_subjects_bounding_box_with_a_margin() -> None:
    """The coarse first pass may have missed parts of the subject."""
    box = find_refinement_box(subject(1000, 2000, Box(900, 400, 200, 100)))
    assert box is not None
    assert 850 < box.left < 890
    assert 1110 < box.left + box.width < 1150
    assert 350 < box.top < 390
    assert 510 < box.top + box.height < 550


def test_faint_pixels_count_as_subject_and_haze_does_not() -> None:
    """Hair and glass need the refinement; with haze, the crop would be the whole image."""
    alpha = np.zeros((100, 100), np.uint8)
    alpha[:40, :40] = 31
    assert find_refinement_box(alpha) is None
    alpha[10:20, 10:20] = 32
    assert find_refinement_box(alpha) == Box(7, 7, 16, 16)


def test_the_crop_is_clipped_to_the_image() -> None:
    """The margin of a subject at the border must not leave the image."""
    assert find_refinement_box(subject(100, 100, Box(0, 60, 20, 40))) == Box(0, 53, 27, 47)


@pytest.mark.parametrize("box", [Box(0, 0, 0, 0), Box(5, 5, 90, 90)], ids=["no subject", "all subject"])
def test_there_is_no_crop_without_a_gain_in_resolution(box: Box) -> None:
    """An empty matte has no bounding box; a subject that fills the image has full resolution already."""
    assert find_refinement_box(subject(100, 100, box)) is None


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
    crop = find_refinement_box(subject(*size, box))
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
    assert (find_refinement_box(subject(1000, 1000, Box(0, 0, width, height))) is not None) == is_refined


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


@pytest.mark.parametrize(
    ("roi", "box"),
    [
        ("10 20 60 50", Box(10, 20, 50, 30)),
        ("10% 10% 50% 100%", Box(20, 10, 80, 90)),
        ("0 0 100% 50px", Box(0, 0, 200, 50)),
        ("1.5 1.5 9.5 9.5", Box(1, 1, 9, 9)),
        ("0% 0% 100% 100%", None),
        (None, None),
    ],
)
def test_a_region_is_in_pixels_or_percent_of_the_image(roi: str | None, box: Box | None) -> None:
    """Left and right are shares of the width, top and bottom of the height."""
    assert find_region((200, 100), roi) == box


@pytest.mark.parametrize("roi", ["0 0 201 100", "0 0 100% 101px", "0 0 100.1% 100%"])
def test_a_region_beyond_the_image_is_refused(roi: str) -> None:
    """The message has the image's size, which clients may not know."""
    with pytest.raises(RoiExceedsBounds, match="200 x 100"):
        find_region((200, 100), roi)


@pytest.mark.parametrize("roi", ["50 0 50 100", "60 0 50 100", "0 50% 100% 50%"])
def test_an_empty_region_is_refused(roi: str) -> None:
    """No subject could be in it."""
    with pytest.raises(RoiRegionEmpty):
        find_region((200, 100), roi)


def test_only_the_region_can_be_subject() -> None:
    """The network sees the region and some context, and nothing else of the image."""
    seen = []

    class Watching(Light):
        def preprocess(self, image: ModelInput, box: Box | None = None) -> NDArray[np.uint8]:
            seen.append(box)
            return super().preprocess(image, box)

    region = Box(100, 40, 60, 20)
    alpha, _ = compute_matte(
        Image.new("RGB", (200, 100), "white"), Watching(), lambda _: None, "standard", region
    )
    assert np.array_equal(alpha, subject(100, 200, region))
    assert seen == [Box(94, 38, 72, 24)]


def test_a_region_gets_its_second_pass_where_the_subject_is() -> None:
    """The crop is found in the context's pixels, and inferred in the image's."""
    image = Image.new("RGB", (400, 400))
    image.paste("white", (260, 270, 280, 290))
    alpha, _ = compute_matte(image, Light(), lambda _: None, "high", Box(200, 200, 180, 160))
    assert np.array_equal(alpha, subject(400, 400, Box(260, 270, 20, 20)))
