"""By which of a profile's intents an image behind the subject is read."""

from pathlib import Path

import numpy as np
from PIL import Image

from shared.options import RemovalOptions
from tests import icc
from tests.photos import encoded
from worker import background


def test_an_image_behind_is_read_as_the_photo_is(tmp_path: Path) -> None:
    """By the colorimetric intent: the perceptual one is each profile's own idea, and they would not match."""
    file = tmp_path / "beach.png"
    file.write_bytes(encoded(Image.new("RGB", (4, 3), (255, 0, 0)), icc_profile=icc.two_minded_profile()))
    chosen = background.chosen(RemovalOptions(background_file=str(file)), 100)
    assert chosen is not None
    grey = icc.grey_of_lightness(np.array(100 / 3))
    assert np.abs(np.asarray(chosen.covering((4, 3), None).rows(0, 3, 4)).astype(int) - grey).max() <= 1
