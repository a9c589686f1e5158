"""One file of every kind that people send, made from the two samples, with what a removal must keep of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image, ImageCms
from PIL.Image import Transpose

from tests import icc, raw_images
from tests.photos import encoded, opened

pillow_heif.register_heif_opener()

SAMPLES = Path(__file__).resolve().parent.parent / "scripts" / "samples"
FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "HEIF", "TIFF", "BMP", "GIF")
TURNED_FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "HEIF", "TIFF")
ORIENTATION, GPS = 0x0112, 0x8825
BEST: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 100, "subsampling": 0},
    "WEBP": {"lossless": True, "exact": True},
    "AVIF": {"quality": 100, "subsampling": "4:4:4"},
    "HEIF": {"quality": -1, "chroma": 444, "matrix_coefficients": 0},
}
P3, ADOBE = icc.rgb_profile(icc.DISPLAY_P3), icc.rgb_profile(icc.ADOBE_RGB)
# How a picture is stored so that a viewer who heeds the orientation shows it upright.
STORED = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_90,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_270,
}


@dataclass(frozen=True, slots=True)
class Case:
    """A file, the upright RGB pixels (H, W, 3) that it holds, and what else of it must be in the cut-out."""

    name: str
    content: bytes
    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None = None
    profile: bytes | None = None
    dpi: float | None = None


@cache
def picture() -> Image.Image:
    """A person, 120 x 160, RGB."""
    return Image.open(SAMPLES / "astronaut.jpg").crop((70, 0, 370, 400)).resize((120, 160))


@cache
def cat() -> Image.Image:
    """A cat, 150 x 100, RGB."""
    return Image.open(SAMPLES / "cat.jpg").resize((150, 100))


def rgb_of(image: Image.Image) -> NDArray[np.uint8]:
    """Return an image's pixels, (H, W, 3)."""
    return np.asarray(image.convert("RGB"))


def veil() -> NDArray[np.uint8]:
    """A transparency for the picture: clear at the top left, half below, opaque at the right."""
    alpha = np.full((160, 120), 255, np.uint8)
    alpha[:80, :40], alpha[80:, :40] = 0, 128
    return alpha


def veiled(mode: str = "RGBA") -> Image.Image:
    """Return the picture with that transparency."""
    image = picture().convert(mode)
    image.putalpha(Image.fromarray(veil()))
    return image


def cases(kind: str) -> list[Case]:
    """Return every kind of file in one format."""
    special = {"PNG": _png, "JPEG": _jpeg, "WEBP": _modern, "AVIF": _modern, "HEIF": _modern, "TIFF": _tiff}
    found = list({**special, "BMP": _bmp, "GIF": _gif}[kind](kind))
    if kind in TURNED_FORMATS:
        found += [turned(kind, orientation) for orientation in range(1, 9)]
        found += [_profiled(kind, "Display P3", P3), _profiled(kind, "Adobe RGB", ADOBE)]
        found += [_profiled(kind, "a broken profile", b"\0" * 4 + P3[4:60], kept=False)]
    return found


def turned(kind: str, orientation: int) -> Case:
    """A photo stored lying on its side or mirrored, with EXIF's note of it, a place and a name in it."""
    stored = picture().transpose(STORED[orientation]) if orientation > 1 else picture()
    content = encoded(stored, kind, exif=oriented(orientation), **BEST.get(kind, {}))
    return Case(f"orientation {orientation}", content, _shown(picture(), content, STORED.get(orientation)))


def oriented(orientation: int) -> bytes:
    """Return EXIF data with an orientation; bytes, since from those alone pillow-heif writes HEIC's own."""
    exif = Image.Exif()
    exif[ORIENTATION], exif[0x013B] = orientation, "Secret Name"
    exif.get_ifd(GPS)[1] = "N"
    return exif.tobytes()


def _shown(source: Image.Image, content: bytes, stored: Transpose | None = None) -> NDArray[np.uint8]:
    """Return what the file shows: the source, or for JPEG and AVIF, which change it a little, what they hold."""
    if content[:3] != b"\xff\xd8\xff" and content[4:11] != b"ftypavi":
        return rgb_of(source)
    undo = {Transpose.ROTATE_90: Transpose.ROTATE_270, Transpose.ROTATE_270: Transpose.ROTATE_90}
    image = opened(content).convert("RGB")
    return rgb_of(image.transpose(undo.get(stored, stored)) if stored is not None else image)


def _case(
    name: str, image: Image.Image, kind: str, alpha: NDArray[np.uint8] | None = None, **options: Any
) -> Case:
    content = encoded(image, kind, **{**BEST.get(kind, {}), **options})
    return Case(name, content, _shown(image, content), alpha)


def _profiled(kind: str, name: str, profile: bytes, *, kept: bool = True) -> Case:
    content = encoded(cat(), kind, icc_profile=profile, **BEST.get(kind, {}))
    return Case(name, content, _shown(cat(), content), profile=profile if kept else None)


def _palette() -> Image.Image:
    """Return the picture in 255 colours, the last index of all being free."""
    return picture().quantize(255)


def _keyed(kind: str, name: str, transparent: Any) -> Case:
    """A palette whose index 255, laid over the veil's clear part, is transparent."""
    image = _palette()
    colours = image.getpalette() or []
    image.putpalette(colours + [0] * (768 - len(colours)))
    image.paste(255, (0, 0, 40, 80))
    alpha = np.where(np.asarray(image) == 255, 0, 255).astype(np.uint8)
    return Case(name, encoded(image, kind, transparency=transparent), rgb_of(_palette()), alpha)


def _deep(values: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Return 8-bit values at 16 bits: 0 stays 0, 255 becomes 65535."""
    return values.astype(np.uint16) * 257


def _png(kind: str) -> Iterator[Case]:
    grey, colours = np.asarray(picture().convert("L")), rgb_of(picture())
    for mode in ("1", "L", "P", "RGB"):
        yield _case(mode, _palette() if mode == "P" else picture().convert(mode), kind)
    yield _case("LA", veiled("L"), kind, veil())
    yield _case("RGBA", veiled(), kind, veil())
    yield _keyed(kind, "P, one transparent index", 255)
    yield _keyed(kind, "P, an alpha for each index", bytes([255] * 255 + [0]))
    clear = np.where(veil() == 0, 0, 255).astype(np.uint8)
    # Only the clear part is of the transparent colour.
    dark, key = np.where(clear == 0, 3, np.maximum(grey, 32)).astype(np.uint8), b"\0\3"
    yield Case("L, a transparent grey", raw_images.png(dark, raw_images.PNG_GREY, 8, key), _grey(dark), clear)
    four = (dark >> 4).astype(np.uint8)
    four[clear == 0] = 1
    four[(clear != 0) & (four == 1)] = 2
    four_bit = raw_images.png(four, raw_images.PNG_GREY, 4, b"\0\1")
    yield Case("L of 4 bits, a transparent grey", four_bit, _grey(four * 17), clear)
    yield Case("L of 2 bits", raw_images.png(grey >> 6, raw_images.PNG_GREY, 2), _grey((grey >> 6) * 85))
    marked = np.where(clear[..., None] == 0, np.uint8(7), np.maximum(colours, 8)).astype(np.uint8)
    for depth, samples, key in ((8, marked, b"\0\7" * 3), (16, _deep(marked), b"\7\7" * 3)):
        content = raw_images.png(samples, raw_images.PNG_RGB, depth, key)
        yield Case(f"RGB of {depth} bits, a transparent colour", content, marked, clear)
    yield Case("L of 16 bits", raw_images.png(_deep(grey), raw_images.PNG_GREY, 16), _grey(grey))
    sixteen = raw_images.png(_deep(dark), raw_images.PNG_GREY, 16, b"\3\3")
    yield Case("L of 16 bits, a transparent grey", sixteen, _grey(dark), clear)
    yield Case("RGB of 16 bits", raw_images.png(_deep(colours), raw_images.PNG_RGB, 16), colours)
    both = np.dstack([colours, veil()])
    yield Case("RGBA of 16 bits", raw_images.png(_deep(both), raw_images.PNG_RGBA, 16), colours, veil())
    both = np.dstack([grey, veil()])
    yield Case(
        "LA of 16 bits", raw_images.png(_deep(both), raw_images.PNG_GREY_ALPHA, 16), _grey(grey), veil()
    )
    yield Case("with 300 dpi", encoded(picture(), kind, dpi=(300, 300)), colours, dpi=300)


def _grey(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return greys (H, W) as (H, W, 3)."""
    return np.repeat(values[..., None], 3, axis=2)


def _press() -> tuple[Image.Image, NDArray[np.uint8]]:
    """Return a CMYK picture for `icc.cmyk_profile`, and what that profile makes of it."""
    black = (200 - np.asarray(picture().convert("L")) * (200 / 255)).astype(np.uint8)
    inks = np.dstack([np.full((*black.shape, 3), 90, np.uint8), black])
    return Image.fromarray(inks, "CMYK"), _grey(icc.grey_of_lightness(100 - black / 2.55))


def _scan() -> tuple[Image.Image, NDArray[np.uint8]]:
    """Return a grey picture for a profile of gamma 1.8, and what that makes of it."""
    grey = picture().convert("L")
    return grey, _grey(icc.encoded_srgb((np.asarray(grey) / 255) ** (round(1.8 * 256) / 256)))


def _jpeg(kind: str) -> Iterator[Case]:
    yield from (_case(mode, picture().convert(mode), kind) for mode in ("L", "RGB", "CMYK"))
    yield _case("progressive", cat(), kind, progressive=True)
    content = encoded(picture(), kind, dpi=(240, 240))
    yield Case("with 240 dpi", content, _shown(picture(), content), dpi=240)
    content = encoded(picture(), "MPO", save_all=True, append_images=[cat()], quality=95)
    yield Case("two photos in one (MPO)", content, _shown(picture(), content))


def _modern(kind: str) -> Iterator[Case]:
    yield _case("RGB", picture(), kind)
    yield _case("L", picture().convert("L"), kind)
    yield _case("RGBA", veiled(), kind, veil())
    if kind != "HEIF":
        yield _case("an animation", picture(), kind, save_all=True, append_images=[picture().rotate(180)])


def _tiff(kind: str) -> Iterator[Case]:
    grey, colours = np.asarray(picture().convert("L")), rgb_of(picture())
    for mode in ("1", "L", "P", "RGB", "CMYK"):
        yield _case(mode, _palette() if mode == "P" else picture().convert(mode), kind)
    yield _case("LA", veiled("L"), kind, veil())
    yield _case("RGBA", veiled(), kind, veil())
    for compression in ("tiff_lzw", "tiff_deflate", "packbits"):
        yield _case(f"RGB, {compression}", picture(), kind, compression=compression)
    yield _case("pages", picture(), kind, save_all=True, append_images=[cat()])
    yield Case("YCbCr", encoded(picture().convert("YCbCr"), kind), rgb_of(picture().convert("YCbCr")))
    lab = ImageCms.profileToProfile(
        picture(), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None
    back = ImageCms.profileToProfile(
        lab, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    assert back is not None
    yield Case("L*a*b*", encoded(lab, kind), rgb_of(back))
    inks, printed = _press()
    yield Case("CMYK with a profile", encoded(inks, kind, icc_profile=icc.cmyk_profile()), printed)
    scan, shown = _scan()
    yield Case("L with a profile", encoded(scan, kind, icc_profile=icc.grey_profile(1.8)), shown)
    yield from _deep_tiff(grey, colours)
    yield Case("with 600 dpi", encoded(picture(), kind, dpi=(600, 600)), colours, dpi=600)


def _deep_tiff(grey: NDArray[np.uint8], colours: NDArray[np.uint8]) -> Iterator[Case]:
    black_is_zero, white_is_zero = raw_images.TIFF_BLACK_IS_ZERO, raw_images.TIFF_WHITE_IS_ZERO
    both = np.dstack([colours, veil()])
    thinned = np.dstack([np.rint(colours * (veil()[..., None] / 255)).astype(np.uint8), veil()])
    for big_endian in (False, True):
        end = "big-endian" if big_endian else "little-endian"
        write = partial(raw_images.tiff, big_endian=big_endian)
        yield Case(f"L of 16 bits, {end}", write(_deep(grey), black_is_zero), _grey(grey))
        yield Case(f"RGB of 16 bits, {end}", write(_deep(colours), raw_images.TIFF_RGB), colours)
        yield Case(
            f"RGBA of 16 bits, {end}", write(_deep(both), raw_images.TIFF_RGB, extra=2), colours, veil()
        )
        yield Case(
            f"premultiplied, {end}",
            write(thinned, raw_images.TIFF_RGB, extra=raw_images.PREMULTIPLIED),
            colours,
            veil(),
        )
    yield Case("L of 16 bits, white is 0", raw_images.tiff(65535 - _deep(grey), white_is_zero), _grey(grey))
    twelve = raw_images.tiff((grey.astype(np.uint16) << 4) | (grey >> 4), black_is_zero, bits=12)
    yield Case("L of 12 bits", twelve, _grey(grey))
    yield Case("L of 32 bits", encoded(Image.fromarray(grey.astype(np.int32) * 257), "TIFF"), _grey(grey))
    yield Case("L of floats", encoded(Image.fromarray(grey.astype(np.float32) / 255), "TIFF"), _grey(grey))


def _bmp(kind: str) -> Iterator[Case]:
    yield from (_case(mode, picture().convert(mode), kind) for mode in ("1", "L", "RGB"))
    yield _case("P", _palette(), kind)
    # The fourth byte of a plain 32-bit BMP means nothing.
    yield Case("RGB of 32 bits", encoded(veiled(), kind), rgb_of(picture()))


def _gif(kind: str) -> Iterator[Case]:
    yield _case("L", picture().convert("L"), kind)
    yield _case("P", _palette(), kind)
    yield _keyed(kind, "P, a transparent index", 255)
    frames = [picture().rotate(180).quantize(255)]
    yield _case("an animation", _palette(), kind, save_all=True, append_images=frames)
