"""Flattening transparent input onto a contrasting grey."""

import numpy as np
import pytest
from PIL import Image

from worker.imaging import flatten
from worker.imaging.geometry import Pixels


def halves(left: int, right: int, opacity: int = 255) -> tuple[Image.Image, Pixels]:
    """Return an image of two greys with transparent margins, and its alpha."""
    alpha = np.zeros((20, 40), np.uint8)
    alpha[5:15, 10:30] = opacity
    grey = np.full((20, 40), left, np.uint8)
    grey[:, 20:] = right
    return Image.fromarray(grey).convert("RGB"), alpha


@pytest.mark.parametrize(
    ("left", "right", "grey"),
    [(0, 0, 255), (128, 128, 255), (255, 255, 128), (0, 255, 128), (130, 250, 0), (0, 140, 255)],
)
def test_the_grey_contrasts_with_the_visible_pixels(left: int, right: int, grey: int) -> None:
    """On white, the network would erase a white logo; all other images get white."""
    assert flatten.choose_contrasting_grey(*halves(left, right)) == grey


def test_colours_of_transparent_pixels_do_not_count() -> None:
    """Most tools leave white or black in them."""
    assert flatten.choose_contrasting_grey(*halves(255, 255, opacity=0)) == 255
    rgb, alpha = halves(255, 255)
    rgb.paste((128, 128, 128), (0, 0, 40, 5))
    assert flatten.choose_contrasting_grey(rgb, alpha) == 128


def test_the_image_is_composited_over_the_grey() -> None:
    """A half opaque pixel mixes both evenly."""
    rgb, alpha = halves(0, 0, opacity=128)
    flat = np.asarray(flatten.flatten_onto(rgb, alpha, 200))
    assert flat[0, 0].tolist() == [200] * 3
    assert np.abs(flat[10, 20].astype(int) - 100).max() <= 1
