"""Writes PNG in parallel: a photo takes a fraction of a second, where Pillow's encoder takes seconds.

PNG is a filter (each byte becomes its difference from a prediction) followed by deflate. Both run on strips
of rows, several at a time: NumPy filters a strip, ISA-L deflates it, and both release the interpreter lock. A
strip's deflate data end on a byte boundary without ending the stream (a sync flush), so the concatenated
strips are one valid zlib stream.

Photos are deflated by ISA-L's level 1, the fastest that deflates well: its levels 2 and 3 gain under 1 %.
Graphics are deflated by zlib, which finds longer matches: files are half as large, and flat areas take it
little time.

Sources: PNG Specification, third edition (W3C), clauses 5 (chunks), 10 (compression) and 11
(chunk contents), the same format as RFC 2083; RFC 1950 (zlib); RFC 1951 (deflate).
"""

import math
import struct
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import IO

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

from worker.imaging.png_filters import filter_graphics, filter_photo, is_graphics

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_INT31 = 2**31 - 1
_GREY, _RGB, _RGBA = 0, 2, 6
_RAW_DEFLATE = -15  # a 32 KiB window and no zlib header: the header is written once, before the first strip
_PHOTO_LEVEL, _GRAPHICS_LEVEL = 1, 6  # of ISA-L, and of zlib: Pillow's default
_SAMPLES = 8  # pairs of rows that decide between photo and graphics
_ZLIB_HEADER = b"\x78\x01"
_EMPTY_LAST_BLOCK = b"\x03\x00"
_ADLER_BASE = 65521
# Large enough that losing the deflate window between strips costs only 0.1 %, small enough that the filter's
# temporaries fit the cache and the threads finish together.
_STRIP_BYTES = 1 << 20
_METRES_PER_INCH = 0.0254

Pixels = npt.NDArray[np.uint8]
# (top, bottom) -> these rows of the image, bottom exclusive; called on several threads.
Rows = Callable[[int, int], Pixels]


def encode(
    shape: tuple[int, ...],
    rows_of: Rows,
    stream: IO[bytes],
    *,
    icc_profile: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    threads: int = 2,
    fast: bool = False,
) -> None:
    """Write an image to `stream` as a complete PNG file, 8 bits per sample, not interlaced.

    shape: (H, W) for grey, (H, W, 3) for RGB or (H, W, 4) for RGBA with straight alpha.
    rows_of: returns rows as uint8; called for a few pairs of rows, then once per strip, in any order, with
        one row of overlap, so that the image never has to exist as a whole. Lossless, also for the colours of
        transparent pixels. Needs a few MiB per thread beyond the compressed file.
    stream: receives bytes in order; never sought, flushed or closed.
    icc_profile: stored unchanged (None or empty: none). It must describe RGB, or grey for grey pixels;
        readers ignore one that does not.
    dpi: (horizontal, vertical) resolution in pixels per inch, stored in whole pixels per metre.
    threads: the number of strips encoded concurrently.
    fast: deflate graphics as photos, too: sooner done, and larger.

    Raises ValueError, before anything is written, for any other shape, for a side of 0 or of more than
    2**31 - 1 pixels, for a resolution that PNG cannot store, and for fewer than one thread; later, for rows
    of another type or shape. Errors of `stream.write` and `rows_of` propagate.
    """
    header = _build_ihdr(shape)
    resolution = b"" if dpi is None else _build_phys(dpi)
    with ThreadPoolExecutor(threads) as pool:
        stream.write(_PNG_SIGNATURE)
        _write_chunk(stream, b"IHDR", header)
        if icc_profile:
            _write_chunk(stream, b"iCCP", b"ICC Profile\0\0" + isal_zlib.compress(icc_profile))
        if resolution:
            _write_chunk(stream, b"pHYs", resolution)
        for piece in _compress(shape, rows_of, pool, fast=fast):
            _write_chunk(stream, b"IDAT", piece)
        _write_chunk(stream, b"IEND", b"")


def _build_ihdr(shape: tuple[int, ...]) -> bytes:
    """Return the contents of IHDR. Raises ValueError for an unsupported shape."""
    colour_type = {(): _GREY, (3,): _RGB, (4,): _RGBA}.get(shape[2:])
    if len(shape) < 2 or colour_type is None:
        raise ValueError(f"PNG pixels have the shape (H, W), (H, W, 3) or (H, W, 4), not {shape}.")
    height, width = shape[:2]
    if not (1 <= height <= _MAX_INT31 and 1 <= width <= _MAX_INT31):
        raise ValueError(f"A PNG is 1 to {_MAX_INT31} pixels wide and high, not {width} x {height}.")
    return struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)


def _build_phys(dpi: tuple[float, float]) -> bytes:
    """Return the contents of pHYs, in pixels per metre. Raises ValueError beyond positive 31-bit numbers."""
    across, down = (per_inch / _METRES_PER_INCH for per_inch in dpi)
    if not (1 <= across <= _MAX_INT31 and 1 <= down <= _MAX_INT31):  # also false for NaN
        raise ValueError(f"A PNG cannot store a resolution of {dpi[0]} x {dpi[1]} pixels per inch.")
    return struct.pack(">IIB", round(across), round(down), 1)


def _write_chunk(stream: IO[bytes], name: bytes, contents: bytes) -> None:
    stream.write(struct.pack(">I4s", len(contents), name))
    stream.write(contents)
    stream.write(struct.pack(">I", isal_zlib.crc32(contents, isal_zlib.crc32(name))))


def _compress(
    shape: tuple[int, ...], rows_of: Rows, pool: ThreadPoolExecutor, *, fast: bool
) -> Iterator[bytes]:
    """Yield the filtered image's zlib stream in order: a piece per strip, and one that ends it."""
    height = shape[0]
    step = max(1, _STRIP_BYTES // math.prod(shape[1:]))

    def checked_rows(top: int, bottom: int) -> Pixels:
        rows = rows_of(top, bottom)
        if rows.dtype != np.uint8 or rows.shape != (bottom - top, *shape[1:]):
            raise ValueError(
                f"Rows {top} to {bottom} of an image of shape {shape} are {rows.dtype} {rows.shape}."
            )
        return rows

    graphics = not fast and _is_graphics(height, checked_rows)

    def compress_strip(top: int) -> tuple[bytes, int, int]:
        rows = checked_rows(max(top - 1, 0), min(top + step, height))
        filtered = _filter(rows, is_top=top == 0, graphics=graphics)
        return _deflate(filtered, graphics=graphics)

    strips = pool.map(compress_strip, range(0, height, step))
    lead, checksum = _ZLIB_HEADER, 1
    for data, strip_checksum, length in strips:
        yield lead + data
        lead, checksum = b"", _combine_adler32(checksum, strip_checksum, length)
    yield _EMPTY_LAST_BLOCK + struct.pack(">I", checksum)


def _is_graphics(height: int, rows_of: Rows) -> bool:
    """Whether the image is graphics, by pairs of rows spread over it."""
    if height == 1:
        return True
    tops = sorted({round((height - 2) * (sample + 0.5) / _SAMPLES) for sample in range(_SAMPLES)})
    return is_graphics([rows_of(top, top + 2) for top in tops])


def _filter(strip: Pixels, *, is_top: bool, graphics: bool) -> Pixels:
    """Return a strip's filtered rows. Unless it is the image's top, it begins with the row above it."""
    step = 1 if strip.ndim == 2 else strip.shape[2]
    rows = np.ascontiguousarray(strip).reshape(len(strip), -1)
    if is_top:
        rows = np.pad(rows, ((1, 0), (0, 0)))
    choose = filter_graphics if graphics else filter_photo
    return choose(rows[:-1], rows[1:], step)


def _deflate(filtered: Pixels, *, graphics: bool) -> tuple[bytes, int, int]:
    """Return a filtered strip's deflate data, and the Adler-32 and length of the filtered bytes."""
    if graphics:
        zlib_deflater = zlib.compressobj(_GRAPHICS_LEVEL, zlib.DEFLATED, _RAW_DEFLATE, memLevel=9)
        data = zlib_deflater.compress(filtered.data) + zlib_deflater.flush(zlib.Z_SYNC_FLUSH)
    else:
        deflater = isal_zlib.compressobj(_PHOTO_LEVEL, isal_zlib.DEFLATED, _RAW_DEFLATE)
        data = deflater.compress(filtered) + deflater.flush(isal_zlib.Z_SYNC_FLUSH)
    return data, isal_zlib.adler32(filtered), filtered.size


def _combine_adler32(first: int, second: int, second_length: int) -> int:
    """Return the Adler-32 of a concatenation from that of its parts, as zlib's adler32_combine does."""
    low = ((first & 0xFFFF) + (second & 0xFFFF) - 1) % _ADLER_BASE
    high = ((first >> 16) + (second >> 16) + second_length * ((first & 0xFFFF) - 1)) % _ADLER_BASE
    return high << 16 | low
