"""The rendering intent of a background image's ICC profile."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests import icc
from tests.photos import encoded
from worker.imaging import compositing


def background_of(folder: Path, colour: tuple[int, int, int], profile: bytes) -> NDArray[np.int16]:
    """Return the rows of a background image of one colour with a profile, converted to sRGB."""
    file = folder / "beach.png"
    file.write_bytes(encoded(Image.new("RGB", (4, 3), colour), icc_profile=profile))
    source = compositing.load_background(None, str(file), 100)
    assert source is not None
    return np.asarray(source.to_layer((4, 3), None).read_rows(0, 3, 4), np.int16)


def test_a_background_image_uses_the_relative_colorimetric_intent(tmp_path: Path) -> None:
    """As the input image does; the perceptual intent depends on the profile, and they would not match."""
    grey = icc.grey_of_lightness(np.array(100 / 3))
    assert np.abs(background_of(tmp_path, (255, 0, 0), icc.two_intent_profile()) - grey).max() <= 1


def test_a_background_image_uses_black_point_compensation(tmp_path: Path) -> None:
    """Without it, a scanned print's black becomes a dark grey, unlike the input image's."""
    assert background_of(tmp_path, (0, 0, 0), icc.faded_profile()).max() <= 1
