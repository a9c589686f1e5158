"""The result's pixels, a few rows at a time, on whatever threads ask for them."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageCms, ImageColor, ImageOps

from shared.errors import BadInput
from worker.imaging import decode
from worker.imaging.colour import BLACK_TO_BLACK, INTENT
from worker.imaging.flatten import WHITE, laid_on
from worker.imaging.foreground import UNSEEN, decontaminated
from worker.imaging.geometry import Cut, Pixels
from worker.imaging.png_writer import Rows

# Returns the subject's colours in the rows from the first up to, without, the second, as an RGB image.
Colours = Callable[[int, int], Image.Image]
# More than this in any channel is another colour, and not what rounding made of the same one.
_ROUNDING = 1


@dataclass(frozen=True, slots=True)
class Background:
    """A `picture`, RGBA, of a single pixel for a colour. `icc_profile` describes it; None says sRGB."""

    picture: Image.Image
    icc_profile: bytes | None

    def covering(self, size: tuple[int, int], icc_profile: bytes | None) -> "Backdrop":
        """Return it for a result of `size` (width, height), in the colours of `icc_profile` (None: sRGB).

        An image is scaled to cover the result in its own proportions, and what stands out is cut off evenly.
        """
        picture = self.picture
        if picture.size != (1, 1):
            picture = ImageOps.fit(picture, size, Image.Resampling.BICUBIC)
        return Backdrop(_in_profile(picture, self.icc_profile, icc_profile))


class Backdrop:
    """A background at a result's size, a few rows at a time. `is_opaque`: nothing shines through."""

    def __init__(self, picture: Image.Image) -> None:
        self._picture = picture
        (least, _) = picture.getchannel("A").getextrema()
        self.is_opaque = least == 255

    def on_white(self) -> "Backdrop":
        """Return it with white behind, for formats without transparency."""
        white = Image.new("RGBA", self._picture.size, "white")
        return self if self.is_opaque else Backdrop(Image.alpha_composite(white, self._picture))

    def rows(self, top: int, bottom: int, width: int) -> Image.Image:
        """Return rows `top` to `bottom`, RGBA, or RGB if the backdrop is opaque. Thread-safe."""
        mode = "RGB" if self.is_opaque else "RGBA"
        if self._picture.size == (1, 1):
            colour = self._picture.convert(mode).getpixel((0, 0))
            return Image.new(mode, (width, bottom - top), colour)
        return self._picture.crop((0, top, width, bottom)).convert(mode)


def load_background(colour: str | None, path: str | None, max_pixels: int) -> Background | None:
    """Return the background: the image at `path`, else the `colour`, else None.

    Raises what `decode.decode` raises for an image, saying that it is the background's.
    """
    if path is not None:
        return _from_file(Path(path), max_pixels)
    return None if colour is None else _from_colour(colour)


def _from_colour(name: str) -> Background:
    return Background(Image.new("RGBA", (1, 1), ImageColor.getcolor(name, "RGBA")), None)


def _from_file(path: Path, max_pixels: int) -> Background:
    try:
        photo = decode.decode(path, max_pixels)
    except BadInput as error:
        raise type(error)(f"The field 'background_file' is not valid: {error.detail}") from error
    picture = photo.rgb.convert("RGBA")
    if photo.alpha is not None:
        picture.putalpha(Image.fromarray(photo.alpha))
    return Background(picture, photo.icc_profile)


def _in_profile(picture: Image.Image, source: bytes | None, target: bytes | None) -> Image.Image:
    """Return `picture`, RGBA, with its colours described by `target` and no longer by `source`."""
    if source == target:
        return picture
    rgb = picture.convert("RGB")
    converted = ImageCms.profileToProfile(
        rgb, _profile(source), _profile(target), INTENT, flags=BLACK_TO_BLACK
    )
    if converted is None or _largest_change(rgb, converted) <= _ROUNDING:
        return picture  # such as from sRGB to sRGB in other words: a colour asked for comes out as said
    converted = converted.convert("RGBA")
    converted.putalpha(picture.getchannel("A"))
    return converted


def _largest_change(before: Image.Image, after: Image.Image) -> int:
    return int(np.asarray(ImageChops.difference(before, after)).max())


def _profile(icc_profile: bytes | None) -> ImageCms.ImageCmsProfile:
    if icc_profile is None:
        return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    return ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))


def photo_colours(cut: Cut) -> Colours:
    """Return the photo's own pixels."""
    return _rows_of(cut.rgb)


def refined_colours(cut: Cut) -> Colours:
    """Return the photo's pixels with the subject's own colour where its edge is soft.

    Where the photo came with transparency of its own, it came without a background: its pixels stay. All of
    them are computed here, so that the time they take is told apart from the encoder's.
    """
    if cut.own is None:
        return _rows_of(decontaminated(cut.rgb, cut.alpha))
    own = np.where(cut.own < 255 - UNSEEN, cut.own, np.uint8(255))  # 254 of 255 is no transparency
    refined = decontaminated(laid_on(cut.rgb, own, WHITE), cut.alpha)
    refined.paste(cut.rgb, (0, 0), Image.fromarray(own < 255))
    return _rows_of(refined)


def cutout(alpha: Pixels, colours: Colours) -> Rows:
    """Return the rows of straight RGBA. Hidden pixels are black: they show nowhere, and pack to nothing."""

    def rows(top: int, bottom: int) -> Pixels:
        rgba = np.array(colours(top, bottom).convert("RGBA"))
        rgba[..., 3] = alpha[top:bottom]
        return _without_hidden(rgba)

    return rows


def over(backdrop: Backdrop, alpha: Pixels, colours: Colours) -> Rows:
    """Return the rows of the subject over a backdrop: RGB if that is opaque, else straight RGBA."""
    width = alpha.shape[1]

    def rows(top: int, bottom: int) -> Pixels:
        behind, subject = backdrop.rows(top, bottom, width), colours(top, bottom)
        opacity = Image.fromarray(alpha[top:bottom])
        if backdrop.is_opaque:
            behind.paste(subject, (0, 0), opacity)
            return np.asarray(behind)
        subject = subject.convert("RGBA")
        subject.putalpha(opacity)
        return _without_hidden(np.array(Image.alpha_composite(behind, subject)))

    return rows


def _without_hidden(rgba: Pixels) -> Pixels:
    """Make fully transparent pixels black, in place, and return them all."""
    packed = rgba.view(np.uint32)[..., 0]
    packed *= rgba[..., 3] != 0
    return rgba


def _rows_of(image: Image.Image) -> Colours:
    return lambda top, bottom: image.crop((0, top, image.width, bottom))
