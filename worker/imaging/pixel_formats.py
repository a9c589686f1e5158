"""Converts pixel formats (1, 16 and 32-bit, float, palette) to 8 bits and a separate alpha channel."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import BITSPERSAMPLE, PHOTOMETRIC_INTERPRETATION, SAMPLEFORMAT, TILELENGTH, TILEWIDTH

# PNG stores its transparent colour (tRNS) in the file's bit depth; Pillow scales only the pixels to 8 bits.
_PNG_GREY_STEPS = {"L;2": 85, "L;4": 17}
_PNG_DEEP_COLOUR = "RGB;16B"
_SIGNED = (2,)
# (white level, highest value up to which it is assumed) of float images. Highlights exceed white, and light
# sources by any factor: so the highest value is the 99.9th percentile, of a million pixels.
_FLOAT_WHITES = ((1, 16), (255, 2 * 255), (65535, 2 * 65535))
_HIGHEST_PERCENTILE, _MAX_SAMPLES = 99.9, 1 << 20
_INTEGER_WHITES = ((255, 255), (65535, 65535))

Corners = tuple[int, int, int, int]  # left, top, right, bottom


def scale_transparent_colour(image: Image.Image) -> None:
    """Scale the transparent colour of an opened PNG to 8 bits, as its pixels; call before `image.load()`.

    Pillow drops 8 of 16 bits, so colours next to the transparent one become transparent too.
    """
    colour = image.info.get("transparency")
    tiles = image.tile if isinstance(image, ImageFile) else []
    raw_mode = tiles[0].args if tiles else None
    if isinstance(colour, int) and raw_mode in _PNG_GREY_STEPS:
        image.info["transparency"] = colour * _PNG_GREY_STEPS[raw_mode]
    elif isinstance(colour, tuple) and raw_mode == _PNG_DEEP_COLOUR:
        image.info["transparency"] = tuple(value >> 8 for value in colour)


def find_first_frame_box(image: Image.Image) -> Corners | None:
    """Return the part of a GIF's canvas that its first frame covers, if not all; call before `image.load()`.

    The rest is transparent in browsers, and a solid colour in Pillow.
    """
    if not isinstance(image, ImageFile) or image.format != "GIF" or not image.tile:
        return None
    box = image.tile[0].extents
    return None if box == (0, 0, *image.size) else box


def clear_outside(box: Corners, size: tuple[int, int], alpha: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """Return an alpha channel, (H, W), that is 0 outside the box, and `alpha` (None: opaque) inside."""
    left, top, right, bottom = box
    inside = slice(top, bottom), slice(left, right)
    cleared = np.zeros(size[::-1], np.uint8)
    cleared[inside] = 255 if alpha is None else alpha[inside]
    return cleared


def split_alpha(image: Image.Image) -> tuple[Image.Image, NDArray[np.uint8] | None]:
    """Return a loaded image of any mode as 8-bit L, RGB, CMYK or LAB, and its alpha channel, if any."""
    if image.mode.startswith(("I", "F")):
        return _scale_grey(image)
    if image.has_transparency_data:
        grey = image.mode in ("1", "L", "LA", "La")
        with_alpha = image.convert("LA" if grey else "RGBA")
        return with_alpha.convert("L" if grey else "RGB"), np.asarray(with_alpha.getchannel("A"))
    if image.mode in ("L", "RGB", "CMYK", "LAB"):
        return image, None  # convert() would copy
    return image.convert("L" if image.mode == "1" else "RGB"), None


def _scale_grey(image: Image.Image) -> tuple[Image.Image, NDArray[np.uint8] | None]:
    """Scale 16-bit, 32-bit and float greys to 8 bits. Pillow's own conversion clips instead."""
    stored = np.asarray(image)
    if image.mode == "I" and read_tiff_tag(image, SAMPLEFORMAT) != _SIGNED:
        stored = stored.view(np.uint32)  # Pillow has signed 32-bit integers only
    transparent = image.info.get("transparency")
    alpha = None if transparent is None else np.where(stored == transparent, 0, 255).astype(np.uint8)
    values, white = np.nan_to_num(stored.astype(np.float32)), _find_white(image, stored)
    if read_tiff_tag(image, PHOTOMETRIC_INTERPRETATION) == 0:
        values = white - values
    grey = np.rint(np.clip(values, 0, white) * (255 / white)).astype(np.uint8)
    return Image.fromarray(grey), alpha


def _find_white(image: Image.Image, values: NDArray[Any]) -> float:
    """Return the value of white: of the file's depth for 12 and 16 bits, else inferred from the highest."""
    if image.mode.startswith("I;16"):
        return 4095 if read_tiff_tag(image, BITSPERSAMPLE) == (12,) else 65535
    if image.mode == "F":
        return _find_float_white(values[np.isfinite(values)])
    most = np.iinfo(values.dtype).max
    highest = values.max(initial=0)
    return next((white for white, bound in _INTEGER_WHITES if highest <= bound), float(most))


def _find_float_white(finite: NDArray[np.floating]) -> float:
    samples = finite[:: max(1, finite.size // _MAX_SAMPLES)]
    highest = np.percentile(samples, _HIGHEST_PERCENTILE) if samples.size else 0
    return next((white for white, bound in _FLOAT_WHITES if highest <= bound), float(2**31 - 1))


def read_tile_size(image: Image.Image) -> tuple[int, int]:
    """Return the width and height of a TIFF's tiles, each decoded whole into memory; 0, 0 without tiles."""
    sides = read_tiff_tag(image, TILEWIDTH), read_tiff_tag(image, TILELENGTH)
    width, height = (side if isinstance(side, int) else 0 for side in sides)
    return width, height


def read_tiff_tag(image: Image.Image, tag: int) -> object:
    """Return the value of a TIFF tag; None if it is missing."""
    return getattr(image, "tag_v2", {}).get(tag)
