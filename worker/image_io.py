"""Photos in: any accepted file becomes upright RGB pixels, with what must survive into the result."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from shared.errors import DamagedImage, NotAnImage, TooManyPixels
from shared.formats import ACCEPTED, SIGNATURE_BYTES, sniff

# The service's own limit is checked on the header, before any pixel is decoded.
Image.MAX_IMAGE_PIXELS = None

# What Pillow's decoders raise on damaged files, beyond OSError.
DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, OverflowError, KeyError)

MIN_DPI, MAX_DPI = 1, 100_000


@dataclass(frozen=True, slots=True)
class Photo:
    """A decoded photo, upright.

    `rgb` is 8-bit RGB in the photo's own colour space; `alpha` its own transparency, (H, W) uint8, if it
    has any; `icc_profile` describes `rgb`; `dpi` is the resolution it is meant to be shown at.
    """

    rgb: Image.Image
    alpha: NDArray[np.uint8] | None
    icc_profile: bytes | None
    dpi: tuple[float, float] | None

    def on_white(self) -> Image.Image:
        """Return what a viewer sees: `rgb`, over white where the photo is transparent."""
        if self.alpha is None:
            return self.rgb
        white = Image.new("RGB", self.rgb.size, "white")
        return Image.composite(self.rgb, white, Image.fromarray(self.alpha))


def decode(path: Path, max_pixels: int) -> Photo:
    """Read the photo at `path`.

    Raises NotAnImage for what no decoder knows, TooManyPixels before decoding when the header promises
    more than `max_pixels`, DamagedImage when decoding fails, MemoryError as it comes.
    """
    try:
        with Image.open(path, formats=[known.name for known in ACCEPTED]) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise TooManyPixels(
                    f"The image has {width} x {height} pixels; this service accepts {max_pixels:,} in all."
                )
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return _photo(image)
    except UnidentifiedImageError as error:
        # With a known format's signature it was an image once.
        with path.open("rb") as file:
            known = sniff(file.read(SIGNATURE_BYTES))
        raise (DamagedImage if known else NotAnImage) from error
    except DECODE_ERRORS as error:
        raise DamagedImage from error


def _photo(image: Image.Image) -> Photo:
    rgb, alpha = _split(image)
    profile = image.info.get("icc_profile")
    return Photo(
        rgb=rgb,
        alpha=alpha,
        icc_profile=profile if profile and image.mode in ("RGB", "RGBA", "P") else None,
        dpi=_plausible_dpi(image.info.get("dpi")),
    )


def _plausible_dpi(dpi: tuple[float, float] | None) -> tuple[float, float] | None:
    """Return the resolution if it is one; files also claim 0, or nonsense."""
    if not dpi or not all(MIN_DPI <= float(value) <= MAX_DPI for value in dpi):
        return None
    return float(dpi[0]), float(dpi[1])


def _split(image: Image.Image) -> tuple[Image.Image, NDArray[np.uint8] | None]:
    """Return the image as RGB, and its own transparency if it has any."""
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return rgba.convert("RGB"), np.asarray(rgba.getchannel("A"))
    if image.mode.startswith(("I", "F")):
        return _eight_bit(image).convert("RGB"), None
    return image if image.mode == "RGB" else image.convert("RGB"), None  # convert() would copy


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit and float greys to 8 bits. Pillow's own conversion would clip them to white."""
    values = np.asarray(image, dtype=np.float32)
    sixteen_bit = image.mode.startswith("I;16") or values.max(initial=0) > 255
    return Image.fromarray(np.rint(np.clip(values / (257 if sixteen_bit else 1), 0, 255)).astype(np.uint8))
