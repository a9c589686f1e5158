"""Pictures out: as PNG, WebP or JPEG.

Sources of the limits: the WebP container specification (RFC 9649), and libjpeg's JPEG_MAX_DIMENSION.
"""

from dataclasses import dataclass
from typing import IO

import numpy as np
from PIL import Image, ImageFilter

from shared.errors import ResultTooLarge
from shared.options import FormatChoice
from worker.imaging import png_writer
from worker.imaging.geometry import Pixels
from worker.imaging.parallel import available_cores, each_strip

MAX_SIDES = {"webp": 16_383, "jpeg": 65_500}
# The quickest method: the next take 1.5, 1.7 and 3 times as long for 15, 21 and 23 % less, most of it on
# the alpha. Noisy photos from 15 megapixels on overflow its first partition, which VP8 limits to 512 KiB
# (RFC 6386, 9.2); method 2 is the quickest that stays within it.
_WEBP_QUICK, _WEBP_CAREFUL = 0, 2
_WEBP_QUICK_PIXELS = 14_000_000
# More effort than this takes up to nine times as long for 9 % less.
_WEBP_LOSSLESS_EFFORT = 20
# From here on, colours are kept as fine as the greys: a hard edge against a bright background needs it.
_FULL_COLOUR_QUALITY = 90
_CELL = 8  # pixels wide and high: finer ones take longer, and are no better


@dataclass(frozen=True, slots=True)
class Picture:
    """What is to be written: its pixels' `shape`, (H, W) grey, (H, W, 3) RGB or (H, W, 4) straight RGBA.

    `rows` gives them; `icc_profile` describes their colours; `dpi` is the resolution they are meant for.
    """

    shape: tuple[int, ...]
    rows: png_writer.Rows
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Encoder:
    """Writes pictures in one format; `quality`, 1 to 100, and `lossless` are for those that know them."""

    format: FormatChoice
    quality: int
    lossless: bool

    def check(self, size: tuple[int, int]) -> None:
        """Raise ResultTooLarge for a `size` (width, height) that the format cannot hold."""
        most = MAX_SIDES.get(self.format)
        if most is not None and max(size) > most:
            width, height = size
            raise ResultTooLarge(
                f"A {self.format} is at most {most:,} pixels wide and high, and the result has "
                f"{width:,} x {height:,}: choose png, or give 'max_size'."
            )

    def write(self, picture: Picture, stream: IO[bytes]) -> None:
        """Write a whole file to `stream`, which need not be seekable. A JPEG's picture is grey or RGB."""
        match self.format:
            case "png":
                png_writer.encode(
                    picture.shape,
                    picture.rows,
                    stream,
                    icc_profile=picture.icc_profile,
                    dpi=picture.dpi,
                    threads=available_cores(),
                )
            case "webp":
                height, width, *_ = picture.shape
                quick = self.lossless or height * width <= _WEBP_QUICK_PIXELS
                pixels = _whole(picture)
                if not self.lossless and pixels.shape[2:] == (4,):
                    _fill_hidden(pixels)
                Image.fromarray(pixels).save(
                    stream,
                    "WEBP",
                    method=_WEBP_QUICK if quick else _WEBP_CAREFUL,
                    quality=_WEBP_LOSSLESS_EFFORT if self.lossless else self.quality,
                    lossless=self.lossless,
                    exact=True,  # lossy ones are filled already, and better than libwebp does it
                    icc_profile=picture.icc_profile,
                )
            case "jpeg":
                Image.fromarray(_whole(picture)).save(
                    stream,
                    "JPEG",
                    quality=self.quality,
                    subsampling="4:4:4" if self.quality >= _FULL_COLOUR_QUALITY else "4:2:0",
                    icc_profile=picture.icc_profile,
                    dpi=picture.dpi or (0, 0),
                )


def _whole(picture: Picture) -> Pixels:
    """Return all of a picture's rows, made on as many threads as there are cores."""
    pixels: Pixels = np.empty(picture.shape, np.uint8)

    def fill(top: int, bottom: int) -> None:
        pixels[top:bottom] = picture.rows(top, bottom)

    each_strip(len(pixels), fill)
    return pixels


def _fill_hidden(rgba: Pixels) -> None:
    """Give clear pixels, which must be black, the mean colour of those around that are not; in place.

    For encoders that blur: black ones would darken the edge beside them.
    """
    hidden = rgba[..., 3] == 0
    around = ImageFilter.BoxBlur(1)
    visible = np.asarray(Image.fromarray(~hidden).convert("L").reduce(_CELL).filter(around), np.float32)
    # As RGBX, or Pillow would weigh colours by their alpha.
    sums = np.asarray(Image.frombuffer("RGBX", hidden.shape[::-1], rgba).reduce(_CELL).filter(around))
    means = np.minimum(sums * (255 / np.maximum(visible, 1))[..., np.newaxis], 255).astype(np.uint8)
    means[..., 3] = 0
    packed, width = rgba.view(np.uint32)[..., 0], hidden.shape[1]
    for cells, top in zip(means.view(np.uint32)[..., 0], range(0, len(rgba), _CELL), strict=True):
        rows = slice(top, top + _CELL)
        np.copyto(packed[rows], np.repeat(cells, _CELL)[:width], where=hidden[rows])
