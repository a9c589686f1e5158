"""Photos in: any accepted file becomes upright RGB pixels, with what must survive into the result."""

import contextlib
import struct
import warnings
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from shared.errors import DamagedImage, NotAnImage, TooManyPixels
from shared.formats import SIGNATURE_BYTES, ImageFormat, detect_format
from worker.imaging import colour, dpi, flatten, icc_profiles, pixel_formats
from worker.imaging.jpeg_limits import check_scans
from worker.imaging.parallel import available_cores

# The service's own limit is checked on the header, before any pixel is decoded.
Image.MAX_IMAGE_PIXELS = None
# Pillow keeps this much of a photo's memory for the next one: 64 MiB, as 12 megapixels take. Else the system
# clears it anew each time: decoding such a photo measured 62 ms instead of 37.
KEPT_BLOCKS = 4

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

_ORIENTATION = ExifTags.Base.Orientation
_LYING = range(5, 9)  # orientations with the photo on its side


@dataclass(frozen=True, slots=True)
class Photo:
    """A decoded photo, upright.

    `rgb` is 8-bit RGB in the photo's own colour space; `alpha` its own transparency, (H, W) uint8, if it
    has any; `icc_profile` describes `rgb` (None: sRGB); `dpi` is the resolution it is meant to be shown at.
    """

    rgb: Image.Image
    alpha: NDArray[np.uint8] | None
    icc_profile: bytes | None
    dpi: tuple[float, float] | None

    def for_network(self) -> Image.Image:
        """Return what a network is to look at: `rgb` in sRGB, over a grey where the photo is transparent."""
        opaque = self.rgb
        if self.alpha is not None:
            opaque = flatten.laid_on(self.rgb, self.alpha, flatten.standing_out(self.rgb, self.alpha))
        return colour.seen(opaque, self.icc_profile)

    def ready_for_background(self) -> "Photo":
        """Return it with a profile into which a background can be converted: its own, or else sRGB."""
        if self.icc_profile is None or colour.takes_colours(self.icc_profile):
            return self
        return replace(self, rgb=colour.seen(self.rgb, self.icc_profile).copy(), icc_profile=None)


def configure() -> None:
    """Set Pillow up for a process that decodes photos. Once: none of it is safe on threads."""
    Image.core.set_blocks_max(KEPT_BLOCKS)  # type: ignore[attr-defined]  # documented, but not in the types
    # Pillow warns of damaged metadata that it can do without; so can we.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


def decode(path: Path, max_pixels: int) -> Photo:
    """Read the photo at `path`, the first one of several.

    Raises NotAnImage for what no decoder knows, TooManyPixels before decoding when the header promises
    more than `max_pixels`, DamagedImage when decoding fails, MemoryError as it comes.
    """
    with path.open("rb") as file:
        known = detect_format(file.read(SIGNATURE_BYTES))
        if known is None:
            raise NotAnImage
        try:
            with _opened(file, known) as image:
                _check_size(image, max_pixels)
                if known.name == "JPEG":
                    check_scans(file)
                return _photo(image)
        except UnidentifiedImageError as error:
            raise DamagedImage(
                f"The {known.name} file is damaged, or of a kind that cannot be read here."
            ) from error
        except DECODE_ERRORS as error:
            raise DamagedImage from error


def _opened(file: BinaryIO, known: ImageFormat) -> ImageFile:
    if known.name == "HEIF":
        _register_heif()
    # Not by its path: Pillow then maps plain TIFFs at the size that they are turned to, and scrambles them.
    return Image.open(file, formats=[known.name])


def _check_size(image: ImageFile, max_pixels: int) -> None:
    for has, (width, height) in (("has", image.size), ("has tiles of", pixel_formats.tile_size(image))):
        if width * height > max_pixels:
            raise TooManyPixels(
                f"The image {has} {width} x {height} pixels; this service accepts {max_pixels:,} in all."
            )


def _register_heif() -> None:
    """Have Pillow read HEIC. Raises NotAnImage without the package for it."""
    try:
        # Here, since libheif takes 50 ms to load and few photos need it.
        from pillow_heif import register_heif_opener  # noqa: PLC0415
    except ImportError as error:
        raise NotAnImage("HEIC photos cannot be read here: the package pillow-heif is missing.") from error
    register_heif_opener(
        thumbnails=False, depth_images=False, aux_images=False, decode_threads=available_cores()
    )


def _photo(image: ImageFile) -> Photo:
    profile, resolution = image.info.get("icc_profile"), dpi.of_header(image)
    pixel_formats.scale_transparent_colour(image)
    frame_box = pixel_formats.first_frame_box(image)
    orientation = pixel_formats.tag_of(image, _ORIENTATION)  # of a TIFF, which Pillow turns as it loads it
    image.load()
    # Notes that cannot be read say nothing; the pixels are whole.
    with contextlib.suppress(*DECODE_ERRORS):
        exif = image.getexif()
        orientation = orientation or exif.get(_ORIENTATION)
        ImageOps.exif_transpose(image, in_place=True)
        resolution = resolution or dpi.of_exif(exif)
        profile = profile or icc_profiles.of_exif(exif)
    if resolution is not None and orientation in _LYING:
        resolution = resolution[::-1]
    pixels, alpha = pixel_formats.split(image)
    if frame_box is not None:
        alpha = pixel_formats.clear_around(frame_box, pixels.size, alpha)
    rgb, icc_profile = colour.to_rgb(pixels, profile)
    # Pillow's writers would take comments and the like from here.
    rgb.info.clear()
    return Photo(rgb, alpha, icc_profile, resolution)
