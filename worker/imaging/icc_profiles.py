"""Builds ICC profiles, for images whose EXIF data name a colour space without embedding a profile.

Sources: ICC.1:2022 (header 7.2, tag table 7.3, curveType 10.6, XYZType 10.31), written as version 2; Adobe
RGB (1998) Color Image Encoding, 2005-05: primaries, here under D50, and gamma; EXIF 2.32 and DCF 2.0: how
cameras name it.
"""

import struct
from collections.abc import Mapping
from functools import cache

from PIL import ExifTags, Image

Columns = tuple[tuple[float, float, float], ...]

_D50 = (0.9642, 1.0, 0.8249)
# Columns: the primaries red, green and blue in XYZ under D50.
ADOBE_RGB: Columns = (
    (0.60974, 0.20528, 0.14919),
    (0.31111, 0.62567, 0.06322),
    (0.01947, 0.06087, 0.74457),
)
_ADOBE_GAMMA = 563 / 256
_UNCALIBRATED, _ADOBE_BY_DCF = 65535, "R03"


def read_exif_profile(exif: Image.Exif) -> bytes | None:
    """Return a profile for the colour space that EXIF data name; None for sRGB.

    Raises whatever malformed values make Python raise.
    """
    space = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace)
    index = exif.get_ifd(ExifTags.IFD.Interop).get(ExifTags.Interop.InteropIndex)
    return _adobe_rgb() if (space, index) == (_UNCALIBRATED, _ADOBE_BY_DCF) else None


@cache
def _adobe_rgb() -> bytes:
    return build_rgb_profile(ADOBE_RGB, _ADOBE_GAMMA, "Compatible with Adobe RGB (1998)")


def build_rgb_profile(primaries: Columns, gamma: float, name: str) -> bytes:
    """Return an RGB display profile with these primaries and this gamma."""
    columns = zip("rgb", zip(*primaries, strict=True), strict=True)
    tags = {f"{channel}XYZ": _xyz_tag(column) for channel, column in columns}
    tags |= {f"{channel}TRC": gamma_curve(gamma) for channel in "rgb"}
    return build_profile("RGB ", "XYZ ", b"mntr", tags, name)


def gamma_curve(gamma: float) -> bytes:
    """Return a curveType tag's content."""
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


def build_profile(
    space: str, connection: str, device_class: bytes, tags: Mapping[str, bytes], name: str
) -> bytes:
    """Return a profile from a device's colour `space` to the `connection` space."""
    text = name.encode("ascii")
    tags = {
        "desc": b"desc\0\0\0\0" + struct.pack(">I", len(text) + 1) + text + bytes(1 + 8 + 3 + 67),
        "cprt": b"text\0\0\0\0CC0\0",
        "wtpt": _xyz_tag(_D50),
        **tags,
    }
    table, data, offset = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, content in tags.items():
        table += tag.encode() + struct.pack(">II", offset + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    head = struct.pack(">I4sI4s4s4s12s4s", offset + len(data), b"", 0x02400000, device_class, space.encode(),
                       connection.encode(), bytes(12), b"acsp")  # fmt: skip
    head = (head + bytes(28)).ljust(68, b"\0") + _s15_fixed16(_D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def _s15_fixed16(values: tuple[float, ...]) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _xyz_tag(values: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + _s15_fixed16(values)
