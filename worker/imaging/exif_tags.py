"""EXIF of opened images: orientation, tags that cannot be read, and metadata that must not be used.

Source: EXIF 2.32, 4.6.4 (Orientation).
"""

import contextlib
import struct
import zlib
from collections.abc import Callable
from typing import TypeVar

from PIL import ExifTags, Image

from worker.imaging.containers.tiff_directories import is_plausible_exif

# What Pillow's decoders raise on damaged files, beyond OSError.
DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    struct.error,
    zlib.error,
)

ORIENTATION_TAG = ExifTags.Base.Orientation
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
TRANSPOSED = range(5, 9)  # orientations that swap width and height
Value = TypeVar("Value")


def drop_unused_metadata(image: Image.Image) -> None:
    """Drop XMP, whose orientation Pillow would apply and browsers do not, and EXIF data that are a bomb."""
    for key in ("xmp", "XML:com.adobe.xmp"):
        image.info.pop(key, None)
    exif = image.info.get("exif")
    if isinstance(exif, bytes) and not is_plausible_exif(exif):
        del image.info["exif"]


def read_or_none(read: Callable[[], Value]) -> Value | None:
    """Return what `read` returns; None if it fails: the pixels are complete without metadata."""
    with contextlib.suppress(*DECODE_ERRORS):
        return read()
    return None


def transpose_upright(image: Image.Image, orientation: object) -> None:
    """Turn a loaded image upright in place. Pillow's own function fails on EXIF that it cannot rewrite."""
    method = _TRANSPOSITIONS.get(orientation) if isinstance(orientation, int) else None
    if method is not None:
        upright = image.transpose(method)
        image.im, image._size = upright.im, upright.size  # noqa: SLF001
