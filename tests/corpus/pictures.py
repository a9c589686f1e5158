"""Source images of the corpus, an alpha channel, and helpers that build cases from them."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Transpose

from tests import icc
from tests.photos import encoded, opened

pillow_heif.register_heif_opener()

SAMPLES = Path(__file__).resolve().parent.parent.parent / "scripts" / "samples"
ORIENTATION, GPS = 0x0112, 0x8825
BEST: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 100, "subsampling": 0},
    "WEBP": {"lossless": True, "exact": True},
    "AVIF": {"quality": 100, "subsampling": "4:4:4"},
    "HEIF": {"quality": -1, "chroma": 444, "matrix_coefficients": 0},
}
# EXIF orientation: the transposition from the upright to the stored image.
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
    """A file, its upright RGB pixels, (H, W, 3), and its expected alpha, ICC profile and DPI."""

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
    """Return an alpha for `picture`: 0 at the top left, half below, opaque at the right."""
    alpha = np.full((160, 120), 255, np.uint8)
    alpha[:80, :40], alpha[80:, :40] = 0, 128
    return alpha


def veiled(mode: str = "RGBA") -> Image.Image:
    """Return `picture` with the alpha of `veil`."""
    image = picture().convert(mode)
    image.putalpha(Image.fromarray(veil()))
    return image


def oriented(orientation: int) -> bytes:
    """Return EXIF data with an orientation; as bytes, from which pillow-heif sets HEIC's own rotation."""
    exif = Image.Exif()
    exif[ORIENTATION], exif[0x013B] = orientation, "Secret Name"
    exif.get_ifd(GPS)[1] = "N"
    return exif.tobytes()


def shown(source: Image.Image, content: bytes, stored: Transpose | None = None) -> NDArray[np.uint8]:
    """Return a file's expected pixels: the source, or for the lossy JPEG and AVIF, the decoded ones."""
    if content[:3] != b"\xff\xd8\xff" and content[4:11] != b"ftypavi":
        return rgb_of(source)
    undo = {Transpose.ROTATE_90: Transpose.ROTATE_270, Transpose.ROTATE_270: Transpose.ROTATE_90}
    image = opened(content).convert("RGB")
    return rgb_of(image.transpose(undo.get(stored, stored)) if stored is not None else image)


def made(
    name: str, image: Image.Image, kind: str, alpha: NDArray[np.uint8] | None = None, **options: Any
) -> Case:
    """Return the case of an image encoded at the format's best quality."""
    content = encoded(image, kind, **{**BEST.get(kind, {}), **options})
    return Case(name, content, shown(image, content), alpha)


def in_palette() -> Image.Image:
    """Return `picture` with a palette of 255 colours, which leaves index 255 free."""
    return picture().quantize(255)


def keyed(kind: str, name: str, transparent: Any) -> Case:
    """Return a palette image whose transparent index 255 fills the top left."""
    image = in_palette()
    colours = image.getpalette() or []
    image.putpalette(colours + [0] * (768 - len(colours)))
    image.paste(255, (0, 0, 40, 80))
    alpha = np.where(np.asarray(image) == 255, 0, 255).astype(np.uint8)
    return Case(name, encoded(image, kind, transparency=transparent), rgb_of(in_palette()), alpha)


def deep(values: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Return 8-bit values at 16 bits: 0 stays 0, 255 becomes 65535."""
    return values.astype(np.uint16) * 257


def grey_rgb(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return greys (H, W) as (H, W, 3)."""
    return np.repeat(values[..., None], 3, axis=2)


def press() -> tuple[Image.Image, NDArray[np.uint8]]:
    """Return a CMYK image for `icc.cmyk_profile`, and its sRGB pixels."""
    black = (200 - np.asarray(picture().convert("L")) * (200 / 255)).astype(np.uint8)
    inks = np.dstack([np.full((*black.shape, 3), 90, np.uint8), black])
    return Image.fromarray(inks, "CMYK"), grey_rgb(icc.grey_of_lightness(100 - black / 2.55))


def scan() -> tuple[Image.Image, NDArray[np.uint8]]:
    """Return a grey image for a profile of gamma 1.8, and its sRGB pixels."""
    grey = picture().convert("L")
    return grey, grey_rgb(icc.encoded_srgb((np.asarray(grey) / 255) ** (round(1.8 * 256) / 256)))
