"""Compositing (Porter-Duff "over"): the subject on a transparent, coloured or image background, by rows.

Encoders call the functions that return rows from several threads.

Source: Porter and Duff, "Compositing Digital Images", SIGGRAPH 1984.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image, ImageChops, ImageCms, ImageColor, ImageOps

from shared.errors import BadInput
from worker.imaging import decode
from worker.imaging.colour import BLACK_POINT_COMPENSATION, INTENT
from worker.imaging.flatten import WHITE, flatten_onto
from worker.imaging.foreground import MAX_NEGLIGIBLE, estimate_foreground
from worker.imaging.geometry import Box, Pixels
from worker.imaging.matted_image import MattedImage
from worker.imaging.png_writer import Rows

# (top, bottom) -> the subject's colours in these rows, bottom exclusive, as an RGB image.
ColourRows = Callable[[int, int], Image.Image]
# A colour conversion that changes no channel by more than this is rounding.
_ROUNDING = 1


@dataclass(frozen=True, slots=True)
class BackgroundSource:
    """A background colour or image: `image` is RGBA, of one pixel for a colour.

    `icc_profile` describes it (None: sRGB).
    """

    image: Image.Image
    icc_profile: bytes | None

    def to_layer(self, size: tuple[int, int], icc_profile: bytes | None) -> "BackgroundLayer":
        """Return the layer for a result of `size` (width, height), converted to `icc_profile` (None: sRGB).

        An image is scaled to cover the result in its own aspect ratio, and cropped evenly.
        """
        image = self.image
        if image.size != (1, 1):
            image = ImageOps.fit(image, size, Image.Resampling.BICUBIC)
        return BackgroundLayer(_convert_profile(image, self.icc_profile, icc_profile))


@dataclass(frozen=True, slots=True)
class Shadow:
    """A shadow at a result's size: its RGB colour, and its `opacity`, (H, W)."""

    colour: tuple[int, int, int]
    opacity: Pixels


class BackgroundLayer:
    """A background at a result's size, read by rows. `is_opaque`: it has no transparent pixel."""

    def __init__(self, image: Image.Image, shadow: Shadow | None = None) -> None:
        self._image = image
        self._shadow = shadow
        (*_, alpha_range) = cast("tuple[tuple[int, int], ...]", image.getextrema())
        self.is_opaque = alpha_range[0] == 255

    def with_shadow(self, colour: str, opacity: Pixels, icc_profile: bytes | None) -> "BackgroundLayer":
        """Return the background with a shadow of that sRGB colour over it, converted to `icc_profile`."""
        pixel = _convert_profile(_make_pixel(colour), None, icc_profile).convert("RGB").getpixel((0, 0))
        return BackgroundLayer(self._image, Shadow(cast("tuple[int, int, int]", pixel), opacity))

    def flatten_on_white(self) -> "BackgroundLayer":
        """Return the background over white, for formats without transparency."""
        if self.is_opaque:
            return self
        white = Image.new("RGBA", self._image.size, "white")
        return BackgroundLayer(Image.alpha_composite(white, self._image), self._shadow)

    def read_rows(self, top: int, bottom: int, width: int) -> Image.Image:
        """Return rows `top` to `bottom`, RGBA, or RGB if the layer is opaque. Thread-safe."""
        mode = "RGB" if self.is_opaque else "RGBA"
        if self._image.size == (1, 1):
            colour = self._image.convert(mode).getpixel((0, 0))
            rows = Image.new(mode, (width, bottom - top), colour)
        else:
            rows = self._image.crop((0, top, width, bottom)).convert(mode)
        if self._shadow is None:
            return rows
        opacity = Image.fromarray(self._shadow.opacity[top:bottom])
        if self.is_opaque:
            rows.paste(self._shadow.colour, (0, 0, *rows.size), opacity)
            return rows
        shadow = Image.new("RGBA", rows.size, self._shadow.colour)
        shadow.putalpha(opacity)
        return Image.alpha_composite(rows, shadow)


def load_background(colour: str | None, path: str | None, max_pixels: int) -> BackgroundSource | None:
    """Return the background: the image at `path`, else the `colour`, else None.

    Raises the errors of `decode.decode` for an image; their text names the background's field.
    """
    if path is not None:
        return _load_image(Path(path), max_pixels)
    return None if colour is None else make_colour_background(colour)


def make_colour_background(colour: str) -> BackgroundSource:
    """Return a background of one colour, which may be transparent."""
    return BackgroundSource(_make_pixel(colour), None)


def _make_pixel(colour: str) -> Image.Image:
    return Image.new("RGBA", (1, 1), ImageColor.getcolor(colour, "RGBA"))


def _load_image(path: Path, max_pixels: int) -> BackgroundSource:
    try:
        decoded = decode.decode(path, max_pixels)
    except BadInput as error:
        raise type(error)(f"The field 'background_file' is not valid: {error.detail}") from error
    image = decoded.rgb.convert("RGBA")
    if decoded.alpha is not None:
        image.putalpha(Image.fromarray(decoded.alpha))
    return BackgroundSource(image, decoded.icc_profile)


def _convert_profile(image: Image.Image, source: bytes | None, target: bytes | None) -> Image.Image:
    """Convert an RGBA image from the `source` profile to the `target` profile (None: sRGB)."""
    if source == target:
        return image
    rgb = image.convert("RGB")
    converted = ImageCms.profileToProfile(
        rgb, _open_profile(source), _open_profile(target), INTENT, flags=BLACK_POINT_COMPENSATION
    )
    if converted is None or _measure_difference(rgb, converted) <= _ROUNDING:
        return image  # such as from sRGB to another sRGB profile: the requested colour stays exact
    converted = converted.convert("RGBA")
    converted.putalpha(image.getchannel("A"))
    return converted


def _measure_difference(before: Image.Image, after: Image.Image) -> int:
    return int(np.asarray(ImageChops.difference(before, after)).max())


def _open_profile(icc_profile: bytes | None) -> ImageCms.ImageCmsProfile:
    if icc_profile is None:
        return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    return ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))


def read_original_colours(matted: MattedImage) -> ColourRows:
    """Return the rows of the image's own colours."""
    return _read_rows(matted.rgb)


def estimate_foreground_colours(matted: MattedImage) -> ColourRows:
    """Return the rows of the image's colours, with the estimated foreground where the matte is soft.

    Where the input was transparent already, it had no background: its pixels stay. The whole image is
    computed here, not by rows, so that its time counts as `refine` and not as `encode`. Without an input
    alpha, the image is changed in place.
    """
    if matted.input_alpha is None:
        return _read_rows(estimate_foreground(matted.rgb, matted.alpha))
    # Alpha of 253 and more counts as opaque: the difference is not visible.
    input_alpha = np.where(matted.input_alpha < 255 - MAX_NEGLIGIBLE, matted.input_alpha, np.uint8(255))
    refined = estimate_foreground(flatten_onto(matted.rgb, input_alpha, WHITE), matted.alpha)
    refined.paste(matted.rgb, (0, 0), Image.fromarray(input_alpha < 255))
    return _read_rows(refined)


def compose_cutout(alpha: Pixels, colours: ColourRows) -> Rows:
    """Return the cut-out's rows: straight RGBA. Transparent pixels are black, which compresses best."""

    def rows(top: int, bottom: int) -> Pixels:
        rgba = np.array(colours(top, bottom).convert("RGBA"))
        rgba[..., 3] = alpha[top:bottom]
        return _clear_transparent(rgba)

    return rows


def composite_over(layer: BackgroundLayer, alpha: Pixels, colours: ColourRows) -> Rows:
    """Return the rows of the subject over a background: RGB if that is opaque, else straight RGBA."""
    width = alpha.shape[1]

    def rows(top: int, bottom: int) -> Pixels:
        background, subject = layer.read_rows(top, bottom, width), colours(top, bottom)
        opacity = Image.fromarray(alpha[top:bottom])
        if layer.is_opaque:
            background.paste(subject, (0, 0), opacity)
            return np.asarray(background)
        subject = subject.convert("RGBA")
        subject.putalpha(opacity)
        return _clear_transparent(np.array(Image.alpha_composite(background, subject)))

    return rows


def _clear_transparent(rgba: Pixels) -> Pixels:
    """Make fully transparent pixels black, in place, and return `rgba`."""
    packed = rgba.view(np.uint32)[..., 0]
    packed *= rgba[..., 3] != 0
    return rgba


def _read_rows(image: Image.Image) -> ColourRows:
    return lambda top, bottom: image.crop((0, top, image.width, bottom))


def pad_colours(colours: ColourRows, target: Box, size: tuple[int, int]) -> ColourRows:
    """Return the rows of a result of `size` (width, height), of which `colours` fill the `target`."""
    if target == (0, 0, *size):
        return colours
    left, first, _, last = target.corners

    def rows(top: int, bottom: int) -> Image.Image:
        padded = Image.new("RGB", (size[0], bottom - top))
        start, stop = max(top, first), min(bottom, last)
        if start < stop:
            padded.paste(colours(start - first, stop - first), (left, start - top))
        return padded

    return rows


def pad_alpha(alpha: Pixels, target: Box, size: tuple[int, int]) -> Pixels:
    """Return the matte of a result of `size` (width, height), of which `alpha` fills the `target`."""
    if target == (0, 0, *size):
        return alpha
    padded: Pixels = np.zeros(size[::-1], np.uint8)
    left, top, right, bottom = target.corners
    padded[top:bottom, left:right] = alpha
    return padded
