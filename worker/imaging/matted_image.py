"""Images with their alpha matte: cropped and resized together.

Source: Porter and Duff, "Compositing Digital Images", SIGGRAPH 1984 (premultiplied alpha).
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from worker.imaging.geometry import Box, Part, Pixels
from worker.imaging.parallel import resize, resize_rgb

# The sharpest of Pillow's filters without overshoot, which would draw a bright rim along hard edges.
_REDUCE = Image.Resampling.HAMMING
_ENLARGE = Image.Resampling.LANCZOS


@dataclass(frozen=True, slots=True)
class MattedImage:
    """An image and its alpha matte: `rgb`, and `alpha` (H, W) of the same size, 0 transparent to 255 opaque.

    `input_alpha`, (H, W), is the alpha channel that the image came with, if any. `alpha` includes it.
    """

    rgb: Image.Image
    input_alpha: Pixels | None
    alpha: Pixels

    def crop(self, box: Box) -> "MattedImage":
        """Return the part in `box`."""
        if box == (0, 0, *self.rgb.size):
            return self
        left, top, right, bottom = box.corners
        inside = slice(top, bottom), slice(left, right)
        input_alpha = None if self.input_alpha is None else self.input_alpha[inside]
        return MattedImage(self.rgb.crop(box.corners), input_alpha, np.ascontiguousarray(self.alpha[inside]))

    def resize(self, size: tuple[int, int], part: Part, *, keep_background_mix: bool) -> "MattedImage":
        """Return `part`, in pixels, resized to `size` (width, height): anti-aliased or interpolated.

        Colours are weighted by their alpha, so that transparent pixels do not bleed into the result.
        `keep_background_mix` weights them by `input_alpha` alone, which mixes subject and background as a
        camera does: for a foreground estimation that then removes the background's share.
        """
        weights = self.input_alpha if keep_background_mix else self.alpha
        input_alpha = None if self.input_alpha is None else _resize_alpha(self.input_alpha, size, part)
        rgb = _resize_weighted(self.rgb, weights, size, part)
        return MattedImage(rgb, input_alpha, _resize_alpha(self.alpha, size, part))

    def resize_alpha_only(self, size: tuple[int, int], part: Part) -> "MattedImage":
        """Return `part` resized to `size`, for a mask: the colours are only approximate."""
        rgb = self.rgb.resize(size, Image.Resampling.NEAREST, part)
        return MattedImage(rgb, None, _resize_alpha(self.alpha, size, part))


class _PremultipliedImage:
    """An RGB image that is resized with its colours weighted by an alpha channel."""

    def __init__(self, rgb: Image.Image, weights: Pixels) -> None:
        rgba = rgb.convert("RGBA")
        rgba.putalpha(Image.fromarray(weights))
        self._image = rgba.convert("RGBa")
        self.size = rgb.size

    def getbands(self) -> tuple[str, ...]:
        """Return the bands' names, as Pillow's images do."""
        return "R", "G", "B"

    def resize(
        self,
        size: tuple[int, int],
        resample: Image.Resampling,
        box: Part | None = None,
        reducing_gap: float | None = None,
    ) -> Image.Image:
        """Return a resized copy, RGB, with the arguments of Pillow's `resize`."""
        return self._image.resize(size, resample, box, reducing_gap).convert("RGBA").convert("RGB")


def _choose_filter(size: tuple[int, int], part: Part) -> Image.Resampling:
    is_enlarged = size[0] > part[2] - part[0] and size[1] > part[3] - part[1]
    return _ENLARGE if is_enlarged else _REDUCE


def _resize_alpha(alpha: Pixels, size: tuple[int, int], part: Part) -> Pixels:
    return resize(Image.fromarray(alpha), size, _choose_filter(size, part), part)


def _resize_weighted(
    rgb: Image.Image, weights: Pixels | None, size: tuple[int, int], part: Part
) -> Image.Image:
    image = rgb if weights is None else _PremultipliedImage(rgb, weights)
    return resize_rgb(image, size, _choose_filter(size, part), part)
