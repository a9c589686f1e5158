"""By which of a profile's intents an image behind the subject is read."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests import icc
from tests.photos import encoded
from worker.imaging import compositing


def behind(folder: Path, colour: tuple[int, int, int], profile: bytes) -> NDArray[np.int16]:
    """Return what an image of one colour, described by a profile, is behind a photo without one."""
    file = folder / "beach.png"
    file.write_bytes(encoded(Image.new("RGB", (4, 3), colour), icc_profile=profile))
    chosen = compositing.load_background(None, str(file), 100)
    assert chosen is not None
    return np.asarray(chosen.covering((4, 3), None).rows(0, 3, 4), np.int16)


def test_an_image_behind_is_read_as_the_photo_is(tmp_path: Path) -> None:
    """By the colorimetric intent: the perceptual one is each profile's own idea, and they would not match."""
    grey = icc.grey_of_lightness(np.array(100 / 3))
    assert np.abs(behind(tmp_path, (255, 0, 0), icc.two_minded_profile()) - grey).max() <= 1


def test_black_stays_black_behind_as_in_the_photo(tmp_path: Path) -> None:
    """A scanned print's would be a dark grey beside the photo's."""
    assert behind(tmp_path, (0, 0, 0), icc.faded_profile()).max() <= 1
