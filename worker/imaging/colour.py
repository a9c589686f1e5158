"""Colours: from what a file's ICC profile means to sRGB, for the network and for what has no RGB of its own.

A profile that cannot be read, or that describes another kind of colour than the pixels are, is ignored.

Conversions use the relative colorimetric intent with black point compensation, as image editors do.

Source: ICC.1:2022, the format of profiles, as littleCMS reads it.
"""

from functools import lru_cache
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, _imaging

# Pillow's mode, and the colour space that a profile for it names in its header.
_SPACES = {"RGB": "RGB ", "L": "GRAY", "CMYK": "CMYK"}
INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
BLACK_TO_BLACK = ImageCms.Flags.BLACKPOINTCOMPENSATION
_SAME = 2  # of 255: rounding; what no eye and no network tells apart

Transform = ImageCms.ImageCmsTransform


def to_rgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, bytes | None]:
    """Return an image in mode L, RGB, CMYK or LAB as RGB, and the profile that describes it (None: sRGB).

    RGB keeps its pixels and its profile; the others become sRGB, by their profile where it is of use.
    """
    if image.mode == "RGB":
        return image, profile if profile and _to_srgb(profile, "RGB") else None
    if image.mode == "LAB":
        transform: Transform | None = _from_lab()
    else:
        transform = _to_srgb(profile, image.mode) if profile else None
    return (transform.apply(image) if transform else image.convert("RGB")), None


def seen(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return an RGB image that `profile` describes as it looks in sRGB."""
    transform = _to_srgb(profile, "RGB") if profile else None
    if transform is None or _changes_nothing(transform):
        return image
    return _InSrgb(image, transform)


@lru_cache(maxsize=4)
def takes_colours(profile: bytes) -> bool:
    """Whether colours can be said in terms of an RGB `profile`: scanners' tell only what theirs look like."""
    try:
        opened = ImageCms.ImageCmsProfile(BytesIO(profile))
        ImageCms.buildTransform(ImageCms.createProfile("sRGB"), opened, "RGB", "RGB", INTENT)
    except ImageCms.PyCMSError:
        return False
    return True


class _InSrgb(Image.Image):
    """An RGB image that is converted when it is looked at, and only as much of it as then is needed.

    littleCMS takes a third of a second for 12 megapixels; networks look at a reduced copy, some milliseconds.
    """

    def __init__(self, source: Image.Image, transform: Transform) -> None:
        super().__init__()
        self._mode, self._size = source.mode, source.size
        self._source, self._transform = source, transform

    def load(self) -> "_imaging.PixelAccess | None":
        """Convert all of it: what Pillow calls before it reads any pixel."""
        if self._im is None:
            self._im = self._transform.apply(self._source).im
        return super().load()

    def resize(
        self,
        size: tuple[int, int] | list[int] | NDArray[Any],
        resample: int | None = None,
        box: tuple[float, float, float, float] | None = None,
        reducing_gap: float | None = None,
    ) -> Image.Image:
        """Convert the resized copy alone."""
        return self._transform.apply(self._source.resize(size, resample, box, reducing_gap))


@lru_cache(maxsize=4)
def _to_srgb(profile: bytes, mode: str) -> Transform | None:
    """Return the way from `profile` to sRGB; None for a profile of no use to pixels in `mode`."""
    try:
        opened = ImageCms.ImageCmsProfile(BytesIO(profile))
        if opened.profile.xcolor_space != _SPACES[mode]:
            return None
        return _transform(opened, mode)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


@lru_cache(maxsize=1)
def _from_lab() -> Transform:
    # L*a*b* has one meaning, with the white of D50, whatever profile a file may name.
    return _transform(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), "LAB")


def _transform(profile: ImageCms.ImageCmsProfile, mode: str) -> Transform:
    return ImageCms.buildTransform(
        profile,
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        INTENT,
        BLACK_TO_BLACK,
    )


@lru_cache(maxsize=4)
def _changes_nothing(transform: Transform) -> bool:
    """Whether the profile is sRGB under any of its many names: tried with 9 x 9 x 9 colours."""
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(9, 81, 3)
    out = np.asarray(transform.apply(Image.fromarray(cube)), np.int16)
    return bool(np.abs(out - cube).max() <= _SAME)
