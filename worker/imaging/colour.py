"""Colour management: from a file's ICC profile to sRGB, for the network and for pixels that are not RGB.

A profile that cannot be read, or that describes another colour space than the pixels have, is ignored.
Conversions use the relative colorimetric intent with black point compensation, as image editors do.

Source: ICC.1:2022, the format of profiles, as littleCMS reads it.
"""

from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

# Pillow's mode, and the colour space signature in the header of a profile for it.
_COLOUR_SPACES = {"RGB": "RGB ", "L": "GRAY", "CMYK": "CMYK"}
INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
BLACK_POINT_COMPENSATION = ImageCms.Flags.BLACKPOINTCOMPENSATION
_IDENTITY_TOLERANCE = 2  # of 255: rounding; below perceptual and numeric significance

Transform = ImageCms.ImageCmsTransform


class LazySrgbImage:
    """An RGB image that is converted to sRGB after it is resized.

    littleCMS takes a third of a second for 12 megapixels, but milliseconds for a network's reduced input.
    """

    def __init__(self, source: Image.Image, transform: Transform) -> None:
        self._source = source
        self._transform = transform
        self.size = source.size

    def getbands(self) -> tuple[str, ...]:
        """Return the bands' names, as Pillow's images do."""
        return self._source.getbands()

    def resize(
        self,
        size: tuple[int, int],
        resample: Image.Resampling,
        box: tuple[float, float, float, float] | None = None,
        reducing_gap: float | None = None,
    ) -> Image.Image:
        """Return a resized copy in sRGB, with the arguments of Pillow's `resize`."""
        return self._transform.apply(self._source.resize(size, resample, box, reducing_gap))


ModelInput = Image.Image | LazySrgbImage  # an RGB image in sRGB


def to_rgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, bytes | None]:
    """Return an image in mode L, RGB, CMYK or LAB as RGB, and the profile that describes it (None: sRGB).

    RGB keeps its pixels and its profile; other modes become sRGB, through their profile where it is usable.
    """
    if image.mode == "RGB":
        return image, profile if profile and _srgb_transform(profile, "RGB") else None
    if image.mode == "LAB":
        transform: Transform | None = _lab_transform()
    else:
        transform = _srgb_transform(profile, image.mode) if profile else None
    return (transform.apply(image) if transform else image.convert("RGB")), None


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert an RGB image that `profile` describes to sRGB; returns the same image if it is sRGB already."""
    transform = _rgb_conversion(profile)
    return transform.apply(image) if transform else image


def to_srgb_lazily(image: Image.Image, profile: bytes | None) -> ModelInput:
    """Convert as `to_srgb`, but only what `resize` returns."""
    transform = _rgb_conversion(profile)
    return LazySrgbImage(image, transform) if transform else image


@lru_cache(maxsize=4)
def is_output_profile(profile: bytes) -> bool:
    """Whether colours can be converted into an RGB `profile`; scanner profiles are input profiles only."""
    try:
        opened = ImageCms.ImageCmsProfile(BytesIO(profile))
        ImageCms.buildTransform(ImageCms.createProfile("sRGB"), opened, "RGB", "RGB", INTENT)
    except ImageCms.PyCMSError:
        return False
    return True


def _rgb_conversion(profile: bytes | None) -> Transform | None:
    """Return the transform from an RGB `profile` to sRGB; None if there is nothing to convert."""
    transform = _srgb_transform(profile, "RGB") if profile else None
    return None if transform is None or _is_identity(transform) else transform


@lru_cache(maxsize=4)
def _srgb_transform(profile: bytes, mode: str) -> Transform | None:
    """Return the transform from `profile` to sRGB; None for a profile that does not fit pixels in `mode`."""
    try:
        opened = ImageCms.ImageCmsProfile(BytesIO(profile))
        if opened.profile.xcolor_space != _COLOUR_SPACES[mode]:
            return None
        return _build_transform(opened, mode)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


@lru_cache(maxsize=1)
def _lab_transform() -> Transform:
    # CIELAB under D50 is device-independent, so a file's own profile is not needed.
    return _build_transform(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), "LAB")


def _build_transform(profile: ImageCms.ImageCmsProfile, mode: str) -> Transform:
    return ImageCms.buildTransform(
        profile,
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        INTENT,
        BLACK_POINT_COMPENSATION,
    )


@lru_cache(maxsize=4)
def _is_identity(transform: Transform) -> bool:
    """Whether the profile is sRGB under any name: compares a grid of 9 x 9 x 9 colours."""
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(9, 81, 3)
    out = np.asarray(transform.apply(Image.fromarray(cube)), np.int16)
    return bool(np.abs(out - cube).max() <= _IDENTITY_TOLERANCE)
