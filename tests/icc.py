"""ICC profiles made by the tests, byte by byte, so that what they mean is known.

Source: ICC.1:2022 (header 7.2, tag table 7.3, lut8Type 10.10, curveType 10.6, XYZType
10.31); written as version 2.
"""

import struct

import numpy as np
from numpy.typing import NDArray

D50 = (0.9642, 1.0, 0.8249)
# Columns: what red, green and blue give in XYZ under D50.
DISPLAY_P3 = ((0.51512, 0.29198, 0.15710), (0.24120, 0.69225, 0.06657), (-0.00105, 0.04189, 0.78407))
ADOBE_RGB = ((0.60974, 0.20528, 0.14919), (0.31111, 0.62567, 0.06322), (0.01947, 0.06087, 0.74457))
SRGB = ((0.43607, 0.38515, 0.14307), (0.22249, 0.71687, 0.06061), (0.01392, 0.09708, 0.71410))


def rgb_profile(primaries: tuple[tuple[float, float, float], ...] = DISPLAY_P3, gamma: float = 2.2) -> bytes:
    """Return a profile of RGB with these primaries and this gamma."""
    tags = {
        f"{name}XYZ": _xyz(column) for name, column in zip("rgb", zip(*primaries, strict=True), strict=True)
    }
    tags |= {f"{name}TRC": _gamma(gamma) for name in "rgb"}
    return _profile("RGB ", "XYZ ", b"mntr", tags)


def grey_profile(gamma: float) -> bytes:
    """Return a profile of greys with this gamma."""
    return _profile("GRAY", "XYZ ", b"mntr", {"kTRC": _gamma(gamma)})


def cmyk_profile() -> bytes:
    """Return a profile of a curious press: C, M and Y print nothing, K takes lightness away evenly."""
    return _profile("CMYK", "Lab ", b"prtr", {"A2B0": _lut8(4, [255, 0] * 8)})


def pale_cmyk_profile(darkest: int) -> bytes:
    """Return a profile of scanned prints of that press, on which K leaves that lightness, 0..255."""
    table = _lut8(4, [255, darkest] * 8)
    return _profile("CMYK", "Lab ", b"scnr", {"A2B0": table, "A2B1": table})


def two_minded_profile() -> bytes:
    """Return a profile of RGB that makes every colour white by the perceptual intent, else a mean grey."""
    means = [255 * point.bit_count() // 3 for point in range(8)]
    return _profile("RGB ", "Lab ", b"scnr", {"A2B0": _lut8(3, [255] * 8), "A2B1": _lut8(3, means)})


def in_srgb(
    values: NDArray[np.uint8], primaries: tuple[tuple[float, ...], ...], gamma: float
) -> NDArray[np.uint8]:
    """Return (…, 3) colours of `rgb_profile(primaries, gamma)` as sRGB, by the textbook."""
    linear = (values / 255.0) ** gamma @ np.array(primaries).T @ np.linalg.inv(np.array(SRGB)).T
    return encoded_srgb(linear)


def encoded_srgb(linear: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return linear light, 0..1, as sRGB's 0..255 (IEC 61966-2-1)."""
    clipped = np.clip(linear, 0, 1)
    curved = np.where(clipped <= 0.0031308, clipped * 12.92, 1.055 * clipped ** (1 / 2.4) - 0.055)
    rounded: NDArray[np.uint8] = np.rint(curved * 255).astype(np.uint8)
    return rounded


def grey_of_lightness(lightness: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return sRGB's grey of an L* of 0..100 (CIE 1976)."""
    root = (lightness + 16) / 116
    return encoded_srgb(np.where(lightness > 8, root**3, lightness / 903.3))


def _profile(space: str, connection: str, kind: bytes, tags: dict[str, bytes]) -> bytes:
    text = b"bgremove test"
    tags = {
        "desc": b"desc\0\0\0\0" + struct.pack(">I", len(text) + 1) + text + bytes(1 + 8 + 3 + 67),
        "cprt": b"text\0\0\0\0CC0\0",
        "wtpt": _xyz(D50),
        **tags,
    }
    table, data, offset = b"", b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        padded = content + bytes(-len(content) % 4)
        table += name.encode() + struct.pack(">II", offset + len(data), len(content))
        data += padded
    head = struct.pack(">I4sI4s4s4s12s4s", offset + len(data), b"", 0x02400000, kind, space.encode(),
                       connection.encode(), bytes(12), b"acsp")  # fmt: skip
    head = (head + bytes(28)).ljust(68, b"\0") + _fixed(D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def _lut8(channels: int, lightness: list[int]) -> bytes:
    """Return a table that gives each corner of the colours a grey; the last channel runs fastest."""
    identity = bytes(range(256))
    # Lab in 8 bits: L 0..255 is 0..100, a and b are 0 at 128.
    grid = b"".join(bytes((value, 128, 128)) for value in lightness)
    matrix = struct.pack(">9i", *(65536, 0, 0, 0, 65536, 0, 0, 0, 65536))
    return b"mft1\0\0\0\0" + bytes((channels, 3, 2, 0)) + matrix + identity * channels + grid + identity * 3


def _fixed(values: tuple[float, ...]) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(values)


def _gamma(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
