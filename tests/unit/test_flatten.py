"""What a network sees behind a photo that is transparent already."""

import numpy as np
import pytest
from PIL import Image

from worker.imaging import flatten
from worker.imaging.geometry import Pixels


def halves(left: int, right: int, opacity: int = 255) -> tuple[Image.Image, Pixels]:
    """A picture in two greys with clear margins, and its transparency."""
    alpha = np.zeros((20, 40), np.uint8)
    alpha[5:15, 10:30] = opacity
    grey = np.full((20, 40), left, np.uint8)
    grey[:, 20:] = right
    return Image.fromarray(grey).convert("RGB"), alpha


@pytest.mark.parametrize(
    ("left", "right", "grey"),
    [(0, 0, 255), (128, 128, 255), (255, 255, 128), (0, 255, 128), (130, 250, 0), (0, 140, 255)],
)
def test_nothing_visible_vanishes_in_its_ground(left: int, right: int, grey: int) -> None:
    """A white logo on white is not there, so that the network would erase it; white is for all others."""
    assert flatten.standing_out(*halves(left, right)) == grey


def test_hidden_colours_do_not_choose_the_ground() -> None:
    """Most tools leave white or black in what is clear; nobody ever sees it."""
    assert flatten.standing_out(*halves(255, 255, opacity=0)) == 255
    rgb, alpha = halves(255, 255)
    rgb.paste((128, 128, 128), (0, 0, 40, 5))
    assert flatten.standing_out(rgb, alpha) == 128


def test_a_ground_shows_as_much_as_the_photo_lets_through() -> None:
    """Half of it through a pixel that is half opaque."""
    rgb, alpha = halves(0, 0, opacity=128)
    laid = np.asarray(flatten.laid_on(rgb, alpha, 200))
    assert laid[0, 0].tolist() == [200] * 3
    assert np.abs(laid[10, 20].astype(int) - 100).max() <= 1
