"""ICC profiles for tests, with known conversions to sRGB.

Source: ICC.1:2022 (lut8Type 10.10).
"""

import struct

import numpy as np
from numpy.typing import NDArray

from worker.imaging import icc_profiles
from worker.imaging.icc_profiles import Columns, gamma_curve

_NAME = "bgremove test"
ADOBE_RGB = icc_profiles.ADOBE_RGB
# Columns: the primaries red, green and blue in XYZ under D50.
DISPLAY_P3 = ((0.51512, 0.29198, 0.15710), (0.24120, 0.69225, 0.06657), (-0.00105, 0.04189, 0.78407))
SRGB = ((0.43607, 0.38515, 0.14307), (0.22249, 0.71687, 0.06061), (0.01392, 0.09708, 0.71410))


def rgb_profile(primaries: Columns = DISPLAY_P3, gamma: float = 2.2) -> bytes:
    """Return an RGB profile with these primaries and this gamma."""
    return icc_profiles.build_rgb_profile(primaries, gamma, _NAME)


def grey_profile(gamma: float) -> bytes:
    """Return a grey profile with this gamma."""
    return icc_profiles.build_profile("GRAY", "XYZ ", b"mntr", {"kTRC": gamma_curve(gamma)}, _NAME)


def cmyk_profile() -> bytes:
    """Return a CMYK profile in which C, M and Y have no effect, and K reduces L* linearly."""
    return icc_profiles.build_profile("CMYK", "Lab ", b"prtr", {"A2B0": _lut8(4, [255, 0] * 8)}, _NAME)


def scanner_profile() -> bytes:
    """Return an RGB input profile (no conversion into it) whose green is L*."""
    table = _lut8(3, [255 if point & 2 else 0 for point in range(8)])
    return icc_profiles.build_profile("RGB ", "Lab ", b"scnr", {"A2B0": table}, _NAME)


def pale_cmyk_profile(darkest: int) -> bytes:
    """Return an input profile like `cmyk_profile`, in which full K has this L*, 0..255."""
    table = _lut8(4, [255, darkest] * 8)
    return icc_profiles.build_profile("CMYK", "Lab ", b"scnr", {"A2B0": table, "A2B1": table}, _NAME)


def faded_profile() -> bytes:
    """Return an RGB input profile whose black is a dark grey, as in a scanned print."""
    faded = [64 + 191 * point.bit_count() // 3 for point in range(8)]
    return icc_profiles.build_profile(
        "RGB ", "Lab ", b"scnr", {"A2B0": _lut8(3, faded), "A2B1": _lut8(3, faded)}, _NAME
    )


def two_intent_profile() -> bytes:
    """Return an RGB input profile whose perceptual intent gives white, and its colorimetric one the mean."""
    means = [255 * point.bit_count() // 3 for point in range(8)]
    tags = {"A2B0": _lut8(3, [255] * 8), "A2B1": _lut8(3, means)}
    return icc_profiles.build_profile("RGB ", "Lab ", b"scnr", tags, _NAME)


def in_srgb(
    values: NDArray[np.uint8], primaries: tuple[tuple[float, ...], ...], gamma: float
) -> NDArray[np.uint8]:
    """Return (…, 3) colours of `rgb_profile(primaries, gamma)` as sRGB, by the definition."""
    linear = (values / 255.0) ** gamma @ np.array(primaries).T @ np.linalg.inv(np.array(SRGB)).T
    return encoded_srgb(linear)


def encoded_srgb(linear: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return linear light, 0..1, as sRGB values, 0..255 (IEC 61966-2-1)."""
    clipped = np.clip(linear, 0, 1)
    curved = np.where(clipped <= 0.0031308, clipped * 12.92, 1.055 * clipped ** (1 / 2.4) - 0.055)
    rounded: NDArray[np.uint8] = np.rint(curved * 255).astype(np.uint8)
    return rounded


def grey_of_lightness(lightness: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return the sRGB grey of an L* of 0..100 (CIE 1976)."""
    root = (lightness + 16) / 116
    return encoded_srgb(np.where(lightness > 8, root**3, lightness / 903.3))


def _lut8(channels: int, lightness: list[int]) -> bytes:
    """Return a lut8Type tag that maps each corner of the colour cube to an L*, the last channel fastest."""
    identity = bytes(range(256))
    # Lab in 8 bits: L 0..255 is 0..100, a and b are 0 at 128.
    grid = b"".join(bytes((value, 128, 128)) for value in lightness)
    matrix = struct.pack(">9i", *(65536, 0, 0, 0, 65536, 0, 0, 0, 65536))
    return b"mft1\0\0\0\0" + bytes((channels, 3, 2, 0)) + matrix + identity * channels + grid + identity * 3
