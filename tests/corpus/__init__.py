"""A corpus of image files of every format and pixel format, with their expected decoded contents."""

import struct
from collections.abc import Iterator

import numpy as np

from tests import icc
from tests.corpus.odd_metadata import odd_jpeg, odd_png
from tests.corpus.pictures import (
    BEST,
    STORED,
    Case,
    cat,
    grey_rgb,
    in_palette,
    keyed,
    made,
    oriented,
    picture,
    press,
    rgb_of,
    shown,
    veil,
    veiled,
)
from tests.corpus.planar_tiff import planar_tiff
from tests.corpus.png_files import png
from tests.corpus.tiff_files import tiff
from tests.photos import encoded, opened

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "HEIF", "TIFF", "BMP", "GIF")
TURNED_FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "HEIF", "TIFF")
P3, ADOBE = icc.rgb_profile(icc.DISPLAY_P3), icc.rgb_profile(icc.ADOBE_RGB)


def cases(kind: str) -> list[Case]:
    """Return all cases of one file format."""
    special = {"PNG": png, "JPEG": _jpeg, "WEBP": _modern, "AVIF": _modern, "HEIF": _modern, "TIFF": tiff}
    found = list({**special, "BMP": _bmp, "GIF": _gif}[kind](kind))
    found += {"PNG": odd_png, "JPEG": odd_jpeg, "TIFF": planar_tiff}.get(kind, list)()
    if kind in TURNED_FORMATS:
        found += [turned(kind, orientation) for orientation in range(1, 9)]
        found += [_profiled(kind, "Display P3", P3), _profiled(kind, "Adobe RGB", ADOBE)]
        found += [_profiled(kind, "a broken profile", b"\0" * 4 + P3[4:60], kept=False)]
    return found


def turned(kind: str, orientation: int) -> Case:
    """Return an image stored rotated or mirrored, with EXIF orientation, GPS and artist."""
    stored = picture().transpose(STORED[orientation]) if orientation > 1 else picture()
    content = encoded(stored, kind, exif=oriented(orientation), **BEST.get(kind, {}))
    return Case(f"orientation {orientation}", content, shown(picture(), content, STORED.get(orientation)))


def _profiled(kind: str, name: str, profile: bytes, *, kept: bool = True) -> Case:
    content = encoded(cat(), kind, icc_profile=profile, **BEST.get(kind, {}))
    return Case(name, content, shown(cat(), content), profile=profile if kept else None)


def _jpeg(kind: str) -> Iterator[Case]:
    yield from (made(mode, picture().convert(mode), kind) for mode in ("L", "RGB", "CMYK"))
    yield made("progressive", cat(), kind, progressive=True)
    content = encoded(picture(), kind, dpi=(240, 240))
    yield Case("with 240 dpi", content, shown(picture(), content), dpi=240)
    inks = encoded(press()[0], kind, icc_profile=icc.cmyk_profile(), quality=100)
    black = np.asarray(opened(inks))[..., 3]
    yield Case("CMYK with a profile", inks, grey_rgb(icc.grey_of_lightness(100 - black / 2.55)))
    content = encoded(picture(), "MPO", save_all=True, append_images=[cat()], quality=95)
    yield Case("two photos in one (MPO)", content, shown(picture(), content))


def _modern(kind: str) -> Iterator[Case]:
    yield made("RGB", picture(), kind)
    yield made("L", picture().convert("L"), kind)
    yield made("RGBA", veiled(), kind, veil())
    if kind != "HEIF":
        yield made("an animation", picture(), kind, save_all=True, append_images=[picture().rotate(180)])


def _bmp(kind: str) -> Iterator[Case]:
    yield from (made(mode, picture().convert(mode), kind) for mode in ("1", "L", "RGB"))
    yield made("P", in_palette(), kind)
    # The fourth byte of a 32-bit BMP without an alpha mask is unused.
    yield Case("RGB of 32 bits", encoded(veiled(), kind), rgb_of(picture()))


def _gif(kind: str) -> Iterator[Case]:
    yield made("L", picture().convert("L"), kind)
    yield made("P", in_palette(), kind)
    yield keyed(kind, "P, a transparent index", 255)
    yield _on_a_larger_canvas(kind)
    frames = [picture().rotate(180).quantize(255)]
    yield made("an animation", in_palette(), kind, save_all=True, append_images=frames)


def _on_a_larger_canvas(kind: str) -> Case:
    """Return a GIF whose first frame covers a part of the canvas."""
    content = bytearray(encoded(in_palette(), kind))
    width, height = picture().size
    content[6:10] = struct.pack("<HH", width + 30, height + 20)
    frame = content.index(b"," + struct.pack("<HHHH", 0, 0, width, height))
    content[frame + 1 : frame + 5] = struct.pack("<HH", 10, 15)
    around = ((15, 5), (10, 20))
    alpha = np.pad(np.full((height, width), 255, np.uint8), around)
    return Case(
        "a frame within its canvas", bytes(content), np.pad(rgb_of(in_palette()), (*around, (0, 0))), alpha
    )
