"""Encodes results as PNG, WebP or JPEG.

Sources of the limits: the WebP container specification (RFC 9649), and libjpeg's JPEG_MAX_DIMENSION.
"""

from dataclasses import dataclass
from typing import IO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from shared.errors import ResultTooLarge
from shared.options import FormatChoice
from worker.imaging import png_writer
from worker.imaging.geometry import Pixels
from worker.imaging.parallel import available_cores, for_each_strip

MAX_SIDES = {"webp": 16_383, "jpeg": 65_500}
# WebP method 0 is the fastest: methods 1 to 3 take 1.5, 1.7 and 3 times as long for files 15, 21 and 23 %
# smaller, most of it in the alpha. Noisy images from 15 megapixels on overflow its first partition, which VP8
# limits to 512 KiB (RFC 6386, 9.2); method 2 is the fastest that stays within it.
_WEBP_FASTEST, _WEBP_LARGE_IMAGES = 0, 2
_WEBP_FASTEST_MAX_PIXELS = 14_000_000
# More effort than this takes up to nine times as long for files 9 % smaller.
_WEBP_LOSSLESS_EFFORT = 20
# From this quality on, no chroma subsampling: it blurs hard edges against a bright background.
_FULL_CHROMA_QUALITY = 90
_BLEED_CELL = 8  # pixels wide and high: smaller cells take longer without a visible difference
_BLEED_ROWS = 16 * _BLEED_CELL  # at a time


@dataclass(slots=True)
class OutputImage:
    """An image to encode, of `shape` (H, W) grey, (H, W, 3) RGB or (H, W, 4) straight RGBA.

    `rows` computes its pixels; `icc_profile` describes their colours; `dpi` is their resolution.
    """

    shape: tuple[int, ...]
    rows: png_writer.Rows
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None

    def compute_pixels(self) -> Pixels:
        """Return all rows, computed on all cores. Call once: it releases the images that `rows` reads.

        Encoders of whole images take much memory of their own.
        """
        pixels: Pixels = np.empty(self.shape, np.uint8)

        def compute(top: int, bottom: int) -> None:
            pixels[top:bottom] = self.rows(top, bottom)

        for_each_strip(len(pixels), compute)
        self.rows = lambda top, bottom: pixels[top:bottom]
        return pixels


@dataclass(frozen=True, slots=True)
class Encoder:
    """Writes images in one format.

    `quality`, 1 to 100, is for WebP and JPEG, `lossless` for WebP, `subsampling` (of chroma) for JPEG.
    """

    format: FormatChoice
    quality: int = 90
    lossless: bool = False
    subsampling: Literal["auto", "4:2:0"] = "auto"

    def check_size(self, size: tuple[int, int]) -> None:
        """Raise ResultTooLarge for a `size` (width, height) beyond the format's limit."""
        most = MAX_SIDES.get(self.format)
        if most is not None and max(size) > most:
            width, height = size
            raise ResultTooLarge(
                f"A {self.format} is at most {most:,} pixels wide and high, and the result has "
                f"{width:,} x {height:,}: choose png, or give 'max_size'."
            )

    def write(self, image: OutputImage, stream: IO[bytes]) -> None:
        """Write a complete file to `stream`, which need not be seekable. JPEG takes grey and RGB only."""
        match self.format:
            case "png":
                png_writer.encode(
                    image.shape,
                    image.rows,
                    stream,
                    icc_profile=image.icc_profile,
                    dpi=image.dpi,
                    threads=available_cores(),
                )
            case "webp":
                self._write_webp(image, stream)
            case "jpeg":
                is_full = self.subsampling == "auto" and self.quality >= _FULL_CHROMA_QUALITY
                Image.fromarray(image.compute_pixels()).save(
                    stream,
                    "JPEG",
                    quality=self.quality,
                    subsampling="4:4:4" if is_full else "4:2:0",
                    icc_profile=image.icc_profile,
                    dpi=image.dpi or (0, 0),
                )

    def _write_webp(self, image: OutputImage, stream: IO[bytes]) -> None:
        height, width, *_ = image.shape
        fastest = self.lossless or height * width <= _WEBP_FASTEST_MAX_PIXELS
        pixels = image.compute_pixels()
        if not self.lossless and pixels.shape[2:] == (4,):
            _bleed_colours(pixels)
        Image.fromarray(pixels).save(
            stream,
            "WEBP",
            method=_WEBP_FASTEST if fastest else _WEBP_LARGE_IMAGES,
            quality=_WEBP_LOSSLESS_EFFORT if self.lossless else self.quality,
            lossless=self.lossless,
            exact=True,  # keep the colours of transparent pixels, bled above: libwebp's own are worse
            icc_profile=image.icc_profile,
        )


def _bleed_colours(rgba: Pixels) -> None:
    """Alpha bleeding: fill transparent pixels with the mean colour around them, in place. They must be black.

    Lossy encoders blur: black pixels would darken the edge next to them.
    """
    height, width = rgba.shape[:2]
    cells = -(-height // _BLEED_CELL), -(-width // _BLEED_CELL)
    visible, sums = np.empty(cells, np.uint8), np.empty((*cells, 4), np.uint8)
    for top in range(0, height, _BLEED_ROWS):
        rows = rgba[top : top + _BLEED_ROWS]
        reduced = slice(top // _BLEED_CELL, (top + _BLEED_ROWS) // _BLEED_CELL)
        visible[reduced] = Image.fromarray(rows[..., 3] != 0).convert("L").reduce(_BLEED_CELL)
        # As RGBX, or Pillow would weight colours by their alpha.
        sums[reduced] = Image.frombuffer("RGBX", (width, len(rows)), rows).reduce(_BLEED_CELL)
    means = (
        _blur(Image.frombuffer("RGBX", cells[::-1], sums))
        * (255 / np.maximum(_blur(Image.fromarray(visible)), 1))[..., np.newaxis]
    )
    colours = np.minimum(means, 255).astype(np.uint8)
    colours[..., 3] = 0
    packed, packed_cells = rgba.view(np.uint32)[..., 0], colours.view(np.uint32)[..., 0]
    for cell_row, top in zip(packed_cells, range(0, height, _BLEED_CELL), strict=True):
        down = slice(top, top + _BLEED_CELL)
        np.copyto(packed[down], np.repeat(cell_row, _BLEED_CELL)[:width], where=rgba[down, :, 3] == 0)


def _blur(cells: Image.Image) -> NDArray[np.float32]:
    return np.asarray(cells.filter(ImageFilter.BoxBlur(1)), np.float32)
