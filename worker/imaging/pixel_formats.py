"""Samples of any depth and kind, as files hold them, down to 8 bits, with the transparency beside them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import BITSPERSAMPLE, PHOTOMETRIC_INTERPRETATION, SAMPLEFORMAT, TILELENGTH, TILEWIDTH

# PNG states its one transparent colour in the file's own depth, Pillow scales the pixels alone to 8 bits.
_PNG_GREY_STEPS = {"L;2": 85, "L;4": 17}
_PNG_DEEP_COLOUR = "RGB;16B"
_SIGNED = (2,)
# What white may be in floats, and up to where their highest value speaks for it: lights exceed white, and
# lamps do by any factor: the highest is that of 99.9 % of the pixels, told by a million of them.
_FLOAT_WHITES = ((1, 16), (255, 2 * 255), (65535, 2 * 65535))
_DULLER_PERCENT, _SAMPLES = 99.9, 1 << 20
_INTEGER_WHITES = ((255, 255), (65535, 65535))

Corners = tuple[int, int, int, int]  # left, top, right, bottom


def scale_transparent_colour(image: ImageFile) -> None:
    """Bring the transparent colour of an opened PNG to its pixels' depth; call before `image.load()`.

    Pillow keeps 8 of 16 bits of colours, so that those next to the transparent one are taken for it.
    """
    told = image.info.get("transparency")
    raw_mode = image.tile[0].args if image.tile else None
    if isinstance(told, int) and raw_mode in _PNG_GREY_STEPS:
        image.info["transparency"] = told * _PNG_GREY_STEPS[raw_mode]
    elif isinstance(told, tuple) and raw_mode == _PNG_DEEP_COLOUR:
        image.info["transparency"] = tuple(value >> 8 for value in told)


def first_frame_box(image: ImageFile) -> Corners | None:
    """Return what a GIF's first frame fills of its canvas, if not all; call before `image.load()`.

    Browsers show nothing around it, Pillow a colour.
    """
    box = image.tile[0].extents if image.format == "GIF" and image.tile else None
    return None if box == (0, 0, *image.size) else box


def clear_around(box: Corners, size: tuple[int, int], alpha: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """Return a picture's transparency, (H, W), if any, with nothing but what is in the box showing."""
    left, top, right, bottom = box
    inside = slice(top, bottom), slice(left, right)
    cleared = np.zeros(size[::-1], np.uint8)
    cleared[inside] = 255 if alpha is None else alpha[inside]
    return cleared


def split(image: Image.Image) -> tuple[Image.Image, NDArray[np.uint8] | None]:
    """Return a loaded image of any mode as 8-bit L, RGB, CMYK or LAB, and its own transparency, if any."""
    if image.mode.startswith(("I", "F")):
        return _from_deep_grey(image)
    if image.has_transparency_data:
        grey = image.mode in ("1", "L", "LA", "La")
        both = image.convert("LA" if grey else "RGBA")
        return both.convert("L" if grey else "RGB"), np.asarray(both.getchannel("A"))
    if image.mode in ("L", "RGB", "CMYK", "LAB"):
        return image, None  # convert() would copy
    return image.convert("L" if image.mode == "1" else "RGB"), None


def _from_deep_grey(image: Image.Image) -> tuple[Image.Image, NDArray[np.uint8] | None]:
    """Scale 16-bit, 32-bit and float greys to 8 bits. Pillow's own conversion would clip them to white."""
    stored = np.asarray(image)
    if image.mode == "I" and tag_of(image, SAMPLEFORMAT) != _SIGNED:
        stored = stored.view(np.uint32)  # Pillow has signed ones alone
    transparent = image.info.get("transparency")
    alpha = None if transparent is None else np.where(stored == transparent, 0, 255).astype(np.uint8)
    values, white = np.nan_to_num(stored.astype(np.float32)), _white(image, stored)
    if tag_of(image, PHOTOMETRIC_INTERPRETATION) == 0:
        values = white - values
    grey = np.rint(np.clip(values, 0, white) * (255 / white)).astype(np.uint8)
    return Image.fromarray(grey), alpha


def _white(image: Image.Image, values: NDArray[Any]) -> float:
    """Return the value that means white. Files say so for 12 and 16 bits; else the highest value tells."""
    if image.mode.startswith("I;16"):
        return 4095 if tag_of(image, BITSPERSAMPLE) == (12,) else 65535
    if image.mode == "F":
        return _float_white(values[np.isfinite(values)])
    most = np.iinfo(values.dtype).max
    highest = values.max(initial=0)
    return next((white for white, bound in _INTEGER_WHITES if highest <= bound), float(most))


def _float_white(finite: NDArray[np.floating]) -> float:
    some = finite[:: max(1, finite.size // _SAMPLES)]
    highest = np.percentile(some, _DULLER_PERCENT) if some.size else 0
    return next((white for white, bound in _FLOAT_WHITES if highest <= bound), float(2**31 - 1))


def tile_size(image: Image.Image) -> tuple[int, int]:
    """Return a TIFF's tiles' width and height: memory is taken for a whole one. 0, 0 where it has none."""
    sides = tag_of(image, TILEWIDTH), tag_of(image, TILELENGTH)
    width, height = (side if isinstance(side, int) else 0 for side in sides)
    return width, height


def tag_of(image: Image.Image, tag: int) -> object:
    """Return a TIFF's tag; None where there is none."""
    return getattr(image, "tag_v2", {}).get(tag)
