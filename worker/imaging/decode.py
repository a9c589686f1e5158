"""Decodes any accepted image file to upright 8-bit RGB, with its alpha, ICC profile and resolution."""

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from shared.errors import DamagedImage, NotAnImage, TooManyPixels
from shared.formats import SIGNATURE_BYTES, detect_format
from worker.imaging import colour, pixel_formats
from worker.imaging.containers import jpeg_segments
from worker.imaging.containers.bmp_header import read_bmp
from worker.imaging.containers.camera_raw import check_signature, find_preview
from worker.imaging.containers.contents import FIRST_FRAME_ONLY, Contents
from worker.imaging.containers.file_view import Bytes, FileView
from worker.imaging.containers.gif_blocks import read_gif
from worker.imaging.containers.heif_boxes import check_avif, check_heif
from worker.imaging.containers.jpeg_segments import read_jpeg
from worker.imaging.containers.png_chunks import MAX_PROFILE_BYTES, read_png
from worker.imaging.containers.tiff_directories import (
    LENGTH,
    ORIENTATION,
    TILE_LENGTH,
    TILE_WIDTH,
    WIDTH,
    TiffFile,
    check_tiff,
    has_more_pages,
)
from worker.imaging.containers.tiff_planes import decode_planes, read_layout
from worker.imaging.dpi import read_exif_dpi, read_header_dpi
from worker.imaging.exif_tags import (
    DECODE_ERRORS,
    ORIENTATION_TAG,
    TRANSPOSED,
    drop_unused_metadata,
    read_or_none,
    transpose_upright,
)
from worker.imaging.flatten import choose_contrasting_grey, flatten_onto
from worker.imaging.icc_profiles import read_exif_profile
from worker.imaging.parallel import available_cores

# Off: the service's own limit is checked on the header, before any pixel is decoded.
Image.MAX_IMAGE_PIXELS = None
# Pillow reuses this many 16 MiB blocks, as many as 12 megapixels take. With fresh memory, which the system
# zeroes first, decoding such an image takes 62 ms instead of 37.
REUSED_BLOCKS = 4

FIRST_PAGE_ONLY = "The image has several pages: only the first was used."
_BUFFER_BYTES = 64 * 1024
WALKS: dict[str, Callable[[Bytes], Contents]] = {
    "PNG": read_png,
    "JPEG": read_jpeg,
    "GIF": read_gif,
    "BMP": read_bmp,
}


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """A decoded image, upright.

    `rgb` is 8-bit RGB in the file's own colour space; `alpha` its own alpha channel, (H, W) uint8, if it has
    one; `icc_profile` describes `rgb` (None: sRGB); `dpi` is its display resolution (across, down).
    `warnings` are sentences for the client.
    """

    rgb: Image.Image
    alpha: NDArray[np.uint8] | None
    icc_profile: bytes | None
    dpi: tuple[float, float] | None
    warnings: tuple[str, ...] = ()

    def to_model_input(self) -> colour.ModelInput:
        """Return the image for inference: in sRGB, flattened onto a contrasting grey if it is transparent."""
        opaque = self.rgb
        if self.alpha is not None:
            opaque = flatten_onto(self.rgb, self.alpha, choose_contrasting_grey(self.rgb, self.alpha))
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
        head = file.read(SIGNATURE_BYTES)
        check_signature(head)
        image_format = detect_format(head)
        if image_format is None:
            raise NotAnImage
        try:
            with mmap(file.fileno(), 0, access=ACCESS_READ) as content:
                return _decode_file(file, content, image_format.name, max_pixels)
        except UnidentifiedImageError as error:
            raise DamagedImage(
                f"The {image_format.name} file is damaged, or of a kind that cannot be read here."
            ) from error
        except DECODE_ERRORS as error:
            raise DamagedImage from error


def _decode_file(file: BinaryIO, content: mmap, name: str, max_pixels: int) -> DecodedImage:
    if name == "TIFF":
        return _decode_tiff(file, content, max_pixels)
    if name == "HEIF":
        _register_heif()
        check_heif(content)
    if name == "AVIF":
        check_avif(content)
    if name not in WALKS:
        return _decode_plain(file, name, max_pixels)
    return _decode_parts(content, WALKS[name](content), name, max_pixels)


def _decode_parts(
    content: Bytes, contents: Contents, name: str, max_pixels: int, orientation: int | None = None
) -> DecodedImage:
    """Decode the parts of a file that a walk over its container has kept."""
    view = FileView(content, contents.parts)
    with Image.open(io.BufferedReader(view, _BUFFER_BYTES), formats=[name]) as image:
        _check_size(image, max_pixels)
        view.extend_budget(image.width * image.height)
        if not contents.is_ended:
            jpeg_segments.check_complete(content, contents.parts)
        decoded = _decode_image(image, contents.icc_profile, orientation)
        return replace(decoded, warnings=contents.warnings)


def _decode_tiff(file: BinaryIO, content: mmap, max_pixels: int) -> DecodedImage:
    tiff = TiffFile(content)
    check_tiff(tiff, len(content))
    if preview := find_preview(content, tiff):
        contents = replace(read_jpeg(preview.content), warnings=(preview.warning,))
        return _decode_parts(preview.content, contents, "JPEG", max_pixels, preview.orientation)
    layout = read_layout(tiff.chain[0]) if tiff.chain else None
    if layout is None:
        decoded = _decode_plain(file, "TIFF", max_pixels)
    else:
        first = tiff.chain[0]
        _check_pixels("has", first.read_one(WIDTH), first.read_one(LENGTH), max_pixels)
        _check_pixels("has tiles of", first.read_one(TILE_WIDTH), first.read_one(TILE_LENGTH), max_pixels)
        image = decode_planes(content, tiff, layout)
        decoded = _decode_image(image, orientation=first.read_one(ORIENTATION, 1))
    return replace(decoded, warnings=(FIRST_PAGE_ONLY,)) if has_more_pages(tiff) else decoded


def _decode_plain(file: BinaryIO, name: str, max_pixels: int) -> DecodedImage:
    """Decode a file as it is."""
    # Not by its path: Pillow then memory-maps plain TIFFs with the size after rotation, which scrambles them.
    with Image.open(file, formats=[name]) as image:
        _check_size(image, max_pixels)
        is_animated = name in ("WEBP", "AVIF") and getattr(image, "n_frames", 1) > 1
        return replace(_decode_image(image), warnings=(FIRST_FRAME_ONLY,) if is_animated else ())


def _check_size(image: ImageFile, max_pixels: int) -> None:
    for has, (width, height) in (("has", image.size), ("has tiles of", pixel_formats.read_tile_size(image))):
        _check_pixels(has, width, height, max_pixels)


def _check_pixels(has: str, width: int, height: int, max_pixels: int) -> None:
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


def _decode_image(
    image: Image.Image, profile: bytes | None = None, orientation: object = None
) -> DecodedImage:
    """Load and convert an opened image. `profile` and `orientation` come before those that Pillow finds."""
    profile, dpi = profile or image.info.get("icc_profile"), read_header_dpi(image)
    profile = profile if profile and len(profile) <= MAX_PROFILE_BYTES else None
    pixel_formats.scale_transparent_colour(image)
    frame_box = pixel_formats.find_first_frame_box(image)
    is_rotated = orientation is None and pixel_formats.read_tiff_tag(image, ORIENTATION_TAG) is not None
    if is_rotated:  # in load(), as Pillow does for TIFFs
        orientation = pixel_formats.read_tiff_tag(image, ORIENTATION_TAG)
    drop_unused_metadata(image)
    image.load()
    drop_unused_metadata(image)  # some plugins read them in load()
    exif = read_or_none(image.getexif) or Image.Exif()
    if orientation is None:
        orientation = read_or_none(lambda: exif.get(ORIENTATION_TAG))
    if not is_rotated:
        transpose_upright(image, orientation)
    dpi = dpi or read_or_none(lambda: read_exif_dpi(exif))
    if dpi is not None and orientation in TRANSPOSED:
        dpi = dpi[::-1]
    profile = profile or read_or_none(lambda: read_exif_profile(exif))
    pixels, alpha = pixel_formats.split_alpha(image)
    if frame_box is not None:
        alpha = pixel_formats.clear_outside(frame_box, pixels.size, alpha)
    rgb, icc_profile = colour.to_rgb(pixels, profile)
    # Pillow's encoders would write comments and other metadata from here.
    rgb.info.clear()
    return DecodedImage(rgb, alpha, icc_profile, dpi)
