"""Post-processing of masks: opening, blur and threshold."""

import numpy as np
import pytest

from worker.imaging.binary_mask import binarise
from worker.imaging.geometry import Pixels
from worker.imaging.parallel import STRIP_ROWS

# What `post_process` of rembg 2.0.86 (scikit-image 0.26, SciPy 1.17) makes of `soft_disc`: a bit per pixel.
RECORDED = (
    "000000000000000000000000000000000000000000000000001f800000007fe0000000fff0000000"
    "fff0000040fff80000e0fff80000e0fff80000e0fff80000c0fff8000000fff0000000fff0000000"
    "7fe00000001f80000000000000000000000000000000000000000000000000000000000000000000"
)


def soft_disc() -> Pixels:
    """Return a disc with a soft edge, cut off by the left border, a speck, a line and a square of waves."""
    down, across = np.mgrid[0:24, 0:40].astype(np.float64)
    alpha = np.clip(255 * (9 - np.hypot(across - 6, down - 11)) / 4, 0, 255)
    alpha[3, 30] = 255
    alpha[20, 18:38] = 255
    alpha[6:16, 24:36] = (140 + 100 * np.sin(across / 2) * np.cos(down / 3))[6:16, 24:36]
    matte: Pixels = alpha.astype(np.uint8)
    return matte


def test_the_pixels_are_those_of_rembg() -> None:
    """A program that asks for `ppm` depends on what it got before."""
    binary = binarise(soft_disc())
    assert set(np.unique(binary)) == {0, 255}
    assert np.packbits(binary > 0).tobytes().hex() == RECORDED


def test_specks_and_lines_go_and_large_shapes_stay() -> None:
    """An opening removes what is thinner than three pixels; the blur rounds corners alone."""
    alpha = np.zeros((60, 80), np.uint8)
    alpha[5, 5] = alpha[50, 10:70] = 255
    alpha[10:40, 20:60] = 255
    binary = binarise(alpha)
    assert not binary[5].any()
    assert not binary[50].any()
    assert (binary[15:35, 20:60] == 255).all()
    assert not binary[:, :20].any()


@pytest.mark.parametrize("level", [0, 126, 128, 255])
def test_an_even_matte_stays_even_up_to_its_borders(level: int) -> None:
    """The borders are mirrored: zeros beyond them would make the outline transparent."""
    assert (binarise(np.full((1, 9), level, np.uint8)) == (255 if level >= 128 else 0)).all()


def test_the_seams_of_the_strips_do_not_show() -> None:
    """Strips are computed on several threads, each with the rows that its own depend on."""
    top = np.tile(soft_disc(), (STRIP_ROWS // 8, 1))
    whole = binarise(top)
    seam = STRIP_ROWS
    part = binarise(top[seam - 48 : seam + 48])
    assert (whole[seam - 24 : seam + 24] == part[24:72]).all()
