"""Corpus cases of TIFF."""

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from tests import icc, raw_images
from tests.corpus.pictures import (
    STORED,
    Case,
    cat,
    deep,
    grey_rgb,
    in_palette,
    made,
    oriented,
    picture,
    press,
    rgb_of,
    scan,
    veil,
    veiled,
)
from tests.photos import encoded


def tiff(kind: str) -> Iterator[Case]:
    """Yield all TIFF cases."""
    grey, colours = np.asarray(picture().convert("L")), rgb_of(picture())
    for mode in ("1", "L", "P", "RGB", "CMYK"):
        yield made(mode, in_palette() if mode == "P" else picture().convert(mode), kind)
    yield made("LA", veiled("L"), kind, veil())
    yield made("RGBA", veiled(), kind, veil())
    for compression in ("tiff_lzw", "tiff_deflate", "packbits"):
        yield made(f"RGB, {compression}", picture(), kind, compression=compression)
    # A copy: Pillow's JPEG encoder leaves its configuration on an image, with which a TIFF page fails.
    yield made("pages", picture(), kind, save_all=True, append_images=[cat().copy()])
    yield Case("YCbCr", encoded(picture().convert("YCbCr"), kind), rgb_of(picture().convert("YCbCr")))
    yield _lab(kind)
    inks, printed = press()
    yield Case("CMYK with a profile", encoded(inks, kind, icc_profile=icc.cmyk_profile()), printed)
    greys, shown = scan()
    yield Case("L with a profile", encoded(greys, kind, icc_profile=icc.grey_profile(1.8)), shown)
    yield from _deep_tiff(grey, colours)
    yield from _rotated(kind, grey)
    yield Case("with 600 dpi", encoded(picture(), kind, dpi=(600, 600)), colours, dpi=600)


def _rotated(kind: str, grey: NDArray[np.uint8]) -> Iterator[Case]:
    """Yield rotated uncompressed TIFFs: from a path, Pillow would memory-map them with the wrong size."""
    pictures = {"P": in_palette(), "RGBA": veiled(), "I;16": Image.fromarray(deep(grey))}
    pictures |= {mode: picture().convert(mode) for mode in ("L", "CMYK")}
    for mode, upright in pictures.items():
        rgb = grey_rgb(grey) if mode == "I;16" else rgb_of(upright)
        content = encoded(upright.transpose(STORED[6]), kind, exif=oriented(6))
        yield Case(f"{mode}, orientation 6", content, rgb, veil() if mode == "RGBA" else None)


def _lab(kind: str) -> Case:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    stored = ImageCms.profileToProfile(picture(), srgb, lab, outputMode="LAB")
    assert stored is not None
    shown = ImageCms.profileToProfile(stored, lab, srgb, outputMode="RGB")
    assert shown is not None
    return Case("L*a*b*", encoded(stored, kind), rgb_of(shown))


def _deep_tiff(grey: NDArray[np.uint8], colours: NDArray[np.uint8]) -> Iterator[Case]:
    black_is_zero, white_is_zero = raw_images.TIFF_BLACK_IS_ZERO, raw_images.TIFF_WHITE_IS_ZERO
    both = np.dstack([colours, veil()])
    thinned = np.dstack([np.rint(colours * (veil()[..., None] / 255)).astype(np.uint8), veil()])
    for big_endian in (False, True):
        end = "big-endian" if big_endian else "little-endian"
        write = partial(raw_images.tiff, big_endian=big_endian)
        yield Case(f"L of 16 bits, {end}", write(deep(grey), black_is_zero), grey_rgb(grey))
        yield Case(f"RGB of 16 bits, {end}", write(deep(colours), raw_images.TIFF_RGB), colours)
        yield Case(
            f"RGBA of 16 bits, {end}", write(deep(both), raw_images.TIFF_RGB, extra=2), colours, veil()
        )
        yield Case(
            f"premultiplied, {end}",
            write(thinned, raw_images.TIFF_RGB, extra=raw_images.PREMULTIPLIED),
            colours,
            veil(),
        )
    yield Case(
        "L of 16 bits, white is 0",
        raw_images.tiff(np.uint16(65535) - deep(grey), white_is_zero),
        grey_rgb(grey),
    )
    twelve = raw_images.tiff(deep(grey) // np.uint16(16), black_is_zero, bits=12)
    yield Case("L of 12 bits", twelve, grey_rgb(grey))
    yield Case("L of 32 bits", encoded(Image.fromarray(grey.astype(np.int32) * 257), "TIFF"), grey_rgb(grey))
    yield Case("L of floats", encoded(Image.fromarray(grey.astype(np.float32) / 255), "TIFF"), grey_rgb(grey))
