"""Decodes any accepted image file to upright 8-bit RGB, with its alpha, ICC profile and resolution."""

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
from worker.imaging import colour, pixel_formats
from worker.imaging.dpi import read_exif_dpi, read_header_dpi
from worker.imaging.flatten import contrasting_grey, flatten_onto
from worker.imaging.icc_profiles import read_exif_profile
from worker.imaging.jpeg_limits import check_scans
from worker.imaging.parallel import available_cores

# Off: the service's own limit is checked on the header, before any pixel is decoded.
Image.MAX_IMAGE_PIXELS = None
# Pillow reuses this many 16 MiB blocks, as many as 12 megapixels take. With fresh memory, which the system
# zeroes first, decoding such an image takes 62 ms instead of 37.
REUSED_BLOCKS = 4

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
_TRANSPOSED = range(5, 9)  # orientations that swap width and height


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """A decoded image, upright.

    `rgb` is 8-bit RGB in the file's own colour space; `alpha` its own alpha channel, (H, W) uint8, if it has
    one; `icc_profile` describes `rgb` (None: sRGB); `dpi` is its display resolution (across, down).
    """

    rgb: Image.Image
    alpha: NDArray[np.uint8] | None
    icc_profile: bytes | None
    dpi: tuple[float, float] | None

    def to_model_input(self) -> colour.ModelInput:
        """Return the image for inference: in sRGB, flattened onto a contrasting grey if it is transparent."""
        opaque = self.rgb
        if self.alpha is not None:
            opaque = flatten_onto(self.rgb, self.alpha, contrasting_grey(self.rgb, self.alpha))
        return colour.to_srgb_lazily(opaque, self.icc_profile)

    def with_convertible_profile(self) -> "DecodedImage":
        """Return the image with a profile into which a background can be converted: its own, or sRGB."""
        if self.icc_profile is None or colour.is_output_profile(self.icc_profile):
            return self
        return replace(self, rgb=colour.to_srgb(self.rgb, self.icc_profile), icc_profile=None)


def configure() -> None:
    """Configure Pillow for this process. Call once, before threads start: it is not thread-safe."""
    Image.core.set_blocks_max(REUSED_BLOCKS)  # type: ignore[attr-defined]  # documented, but not in the types
    # Pillow warns about damaged metadata, which decoding does not need.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


def decode(path: Path, max_pixels: int) -> DecodedImage:
    """Decode the image file at `path`; of several frames or pages, the first.

    Raises NotAnImage for an unknown format, TooManyPixels before decoding if the header announces more than
    `max_pixels`, DamagedImage if decoding fails, MemoryError.
    """
    with path.open("rb") as file:
        image_format = detect_format(file.read(SIGNATURE_BYTES))
        if image_format is None:
            raise NotAnImage
        try:
            with _open(file, image_format) as image:
                _check_size(image, max_pixels)
                if image_format.name == "JPEG":
                    check_scans(file)
                return _decode_image(image)
        except UnidentifiedImageError as error:
            raise DamagedImage(
                f"The {image_format.name} file is damaged, or of a kind that cannot be read here."
            ) from error
        except DECODE_ERRORS as error:
            raise DamagedImage from error


def _open(file: BinaryIO, image_format: ImageFormat) -> ImageFile:
    if image_format.name == "HEIF":
        _register_heif()
    # Not by its path: Pillow then memory-maps plain TIFFs with the size after rotation, which scrambles them.
    return Image.open(file, formats=[image_format.name])


def _check_size(image: ImageFile, max_pixels: int) -> None:
    for has, (width, height) in (("has", image.size), ("has tiles of", pixel_formats.read_tile_size(image))):
        if width * height > max_pixels:
            raise TooManyPixels(
                f"The image {has} {width} x {height} pixels; this service accepts {max_pixels:,} in all."
            )


def _register_heif() -> None:
    """Register the HEIC decoder with Pillow. Raises NotAnImage if its package is missing."""
    try:
        # Imported on demand: libheif takes 50 ms to load, and few images need it.
        from pillow_heif import register_heif_opener  # noqa: PLC0415
    except ImportError as error:
        raise NotAnImage("HEIC photos cannot be read here: the package pillow-heif is missing.") from error
    register_heif_opener(
        thumbnails=False, depth_images=False, aux_images=False, decode_threads=available_cores()
    )


def _decode_image(image: ImageFile) -> DecodedImage:
    profile, dpi = image.info.get("icc_profile"), read_header_dpi(image)
    pixel_formats.scale_transparent_colour(image)
    frame_box = pixel_formats.find_first_frame_box(image)
    orientation = pixel_formats.read_tiff_tag(image, _ORIENTATION)  # Pillow rotates TIFFs in load()
    image.load()
    # Unreadable EXIF data are ignored: the pixels are complete.
    with contextlib.suppress(*DECODE_ERRORS):
        exif = image.getexif()
        orientation = orientation or exif.get(_ORIENTATION)
        ImageOps.exif_transpose(image, in_place=True)
        dpi = dpi or read_exif_dpi(exif)
        profile = profile or read_exif_profile(exif)
    if dpi is not None and orientation in _TRANSPOSED:
        dpi = dpi[::-1]
    pixels, alpha = pixel_formats.split_alpha(image)
    if frame_box is not None:
        alpha = pixel_formats.clear_outside(frame_box, pixels.size, alpha)
    rgb, icc_profile = colour.to_rgb(pixels, profile)
    # Pillow's encoders would write comments and other metadata from here.
    rgb.info.clear()
    return DecodedImage(rgb, alpha, icc_profile, dpi)
