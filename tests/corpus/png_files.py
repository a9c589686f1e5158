"""Corpus cases of PNG."""

from collections.abc import Iterator

import numpy as np

from tests import raw_images
from tests.corpus.pictures import Case, deep, grey_rgb, in_palette, keyed, made, picture, rgb_of, veil, veiled
from tests.photos import encoded


def png(kind: str) -> Iterator[Case]:
    """Yield all PNG cases."""
    yield from _of_8_bits(kind)
    yield from _with_one_transparent_colour()
    yield from _of_16_bits()
    yield Case("with 300 dpi", encoded(picture(), kind, dpi=(300, 300)), rgb_of(picture()), dpi=300)


def _of_8_bits(kind: str) -> Iterator[Case]:
    for mode in ("1", "L", "P", "RGB"):
        yield made(mode, in_palette() if mode == "P" else picture().convert(mode), kind)
    yield made("LA", veiled("L"), kind, veil())
    yield made("RGBA", veiled(), kind, veil())
    yield keyed(kind, "P, one transparent index", 255)
    yield keyed(kind, "P, an alpha for each index", bytes([255] * 255 + [0]))
    grey = np.asarray(picture().convert("L"))
    two_bit = raw_images.png(grey // np.uint8(64), raw_images.PNG_GREY, 2)
    yield Case("L of 2 bits", two_bit, grey_rgb((grey // np.uint8(64)) * np.uint8(85)))


def _with_one_transparent_colour() -> Iterator[Case]:
    grey, colours = np.asarray(picture().convert("L")), rgb_of(picture())
    clear = np.where(veil() == 0, 0, 255).astype(np.uint8)
    # Only the transparent part has the transparent colour.
    dark, key = np.where(clear == 0, 3, np.maximum(grey, 32)).astype(np.uint8), b"\0\3"
    yield Case(
        "L, a transparent grey", raw_images.png(dark, raw_images.PNG_GREY, 8, key), grey_rgb(dark), clear
    )
    four = (dark >> 4).astype(np.uint8)
    four[clear == 0] = 1
    four[(clear != 0) & (four == 1)] = 2
    four_bit = raw_images.png(four, raw_images.PNG_GREY, 4, b"\0\1")
    yield Case("L of 4 bits, a transparent grey", four_bit, grey_rgb(four * np.uint8(17)), clear)
    marked = np.where(clear[..., None] == 0, np.uint8(7), np.maximum(colours, 8)).astype(np.uint8)
    for depth, samples, key in ((8, marked, b"\0\7" * 3), (16, deep(marked), b"\7\7" * 3)):
        content = raw_images.png(samples, raw_images.PNG_RGB, depth, key)
        yield Case(f"RGB of {depth} bits, a transparent colour", content, marked, clear)
    sixteen = raw_images.png(deep(dark), raw_images.PNG_GREY, 16, b"\3\3")
    yield Case("L of 16 bits, a transparent grey", sixteen, grey_rgb(dark), clear)


def _of_16_bits() -> Iterator[Case]:
    grey, colours = np.asarray(picture().convert("L")), rgb_of(picture())
    yield Case("L of 16 bits", raw_images.png(deep(grey), raw_images.PNG_GREY, 16), grey_rgb(grey))
    yield Case("RGB of 16 bits", raw_images.png(deep(colours), raw_images.PNG_RGB, 16), colours)
    both = np.dstack([colours, veil()])
    yield Case("RGBA of 16 bits", raw_images.png(deep(both), raw_images.PNG_RGBA, 16), colours, veil())
    both = np.dstack([grey, veil()])
    yield Case(
        "LA of 16 bits", raw_images.png(deep(both), raw_images.PNG_GREY_ALPHA, 16), grey_rgb(grey), veil()
    )
