"""A second look must sharpen small subjects, and leave no seam where it ends."""

import numpy as np
import pytest
from numpy.typing import NDArray

from worker.imaging.geometry import Box
from worker.imaging.matting import blended, second_look


def subject(height: int, width: int, box: Box) -> NDArray[np.uint8]:
    """Draw an opaque rectangle."""
    alpha = np.zeros((height, width), np.uint8)
    left, top, right, bottom = box.corners
    alpha[top:bottom, left:right] = 255
    return alpha


def test_a_small_subject_is_looked_at_again_with_room_around_it() -> None:
    """The first look, coarse as it is, may have missed some of it."""
    box = second_look(subject(1000, 2000, Box(900, 400, 200, 100)))
    assert box is not None
    assert 850 < box.left < 890
    assert 1110 < box.left + box.width < 1150
    assert 350 < box.top < 390
    assert 510 < box.top + box.height < 550


def test_a_faint_first_look_is_enough_and_haze_is_not() -> None:
    """Hair and glass are what the second look is for; haze all over would make the box the whole photo."""
    alpha = np.zeros((100, 100), np.uint8)
    alpha[:40, :40] = 31
    assert second_look(alpha) is None
    alpha[10:20, 10:20] = 32
    assert second_look(alpha) == Box(7, 7, 16, 16)


def test_the_box_ends_with_the_photo() -> None:
    """A subject at the border must not make a box outside the photo."""
    assert second_look(subject(100, 100, Box(0, 60, 20, 40))) == Box(0, 53, 27, 47)


@pytest.mark.parametrize("box", [Box(0, 0, 0, 0), Box(5, 5, 90, 90)], ids=["no subject", "all subject"])
def test_no_second_look_where_it_would_gain_nothing(box: Box) -> None:
    """An empty photo has no box, and one full of its subject was seen at full size already."""
    assert second_look(subject(100, 100, box)) is None


def test_the_second_look_counts_inside_and_fades_out_to_the_border() -> None:
    """A hard change at the box would be a line across the photo."""
    first, box = np.zeros((200, 300), np.uint8), Box(100, 50, 100, 100)
    mixed = blended(first, np.full((100, 100), 255, np.uint8), box)
    assert (mixed[70:130, 120:180] == 255).all()
    assert np.abs(np.diff(mixed[100].astype(int))).max() < 60
    outside = mixed.copy()
    outside[50:150, 100:200] = 0
    assert not outside.any()


def test_the_second_look_counts_up_to_the_photos_own_border() -> None:
    """Where the box ends because the photo does, there is nothing to fade to."""
    mixed = blended(np.zeros((100, 100), np.uint8), np.full((40, 50), 255, np.uint8), Box(0, 0, 50, 40))
    assert (mixed[:20, :25] == 255).all()
