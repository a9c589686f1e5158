"""Writes a picture as PNG in a fraction of a second, where Pillow's writer needs whole seconds for a photo.

PNG is a filter (each byte becomes its difference from a prediction) followed by deflate. Both are done here
on strips of rows, several strips at a time: NumPy filters a strip at once, ISA-L deflates it, and both let go
of the interpreter lock while they work. A strip's deflate data ends on a byte boundary without ending the
stream (a sync flush), so the strips' data laid end to end are one valid zlib stream.

Every row uses the Average filter: photos and cut-outs measured 3 to 7 % smaller with it than with Sub or Up,
for some 15 % more time. ISA-L's level 1 is the fastest that deflates well: its levels 2 and 3 gain under 1 %.

Sources: PNG Specification, third edition (W3C), clauses 5 (chunks), 9 (filters), 10 (compression) and 11
(chunk contents), the same format as RFC 2083; RFC 1950 (zlib); RFC 1951 (deflate).
"""

import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_INT = 2**31 - 1
_GREY, _RGB, _RGBA = 0, 2, 6
_AVERAGE = 3
_RAW_DEFLATE = -15  # a 32 KiB window and no zlib header: the header is written once, before the first strip
_LEVEL = 1
_ZLIB_HEADER = b"\x78\x01"
_EMPTY_LAST_BLOCK = b"\x03\x00"
_ADLER_BASE = 65521
# Large enough that losing the window between strips costs nothing to speak of (0.1 %), small enough that the
# filter's temporaries stay near the cache and the threads finish together.
_STRIP_BYTES = 1 << 20
_METRES_PER_INCH = 0.0254


def encode(
    pixels: npt.NDArray[np.uint8],
    stream: BinaryIO,
    *,
    icc_profile: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    threads: int = 2,
) -> None:
    """Write `pixels` to `stream` as one complete PNG file, 8 bits a sample, not interlaced.

    pixels: uint8, of shape (H, W) for grey, (H, W, 3) for RGB or (H, W, 4) for RGBA with alpha not
        premultiplied; any strides. Every sample comes back exactly, colours under transparent pixels too.
        The picture is not copied whole: the work needs a few MiB per thread beyond the compressed file.
    stream: takes bytes in order; it is never sought, flushed or closed.
    icc_profile: the pixels' colour profile, stored as it is (None or empty: none). It has to describe RGB, or
        grey where the pixels are grey; readers ignore one that does not.
    dpi: (horizontal, vertical) resolution in pixels per inch, stored in whole pixels per metre.
    threads: how many strips are worked on at once.

    Raises ValueError, before anything is written, for pixels of any other type or shape, for a side of 0 or
    of more than 2**31 - 1 pixels, for a resolution the file cannot state, and for fewer than one thread.
    What `stream.write` raises passes through.
    """
    header = _header(pixels)
    resolution = b"" if dpi is None else _resolution(dpi)
    with ThreadPoolExecutor(threads) as pool:
        stream.write(_SIGNATURE)
        _write_chunk(stream, b"IHDR", header)
        if icc_profile:
            _write_chunk(stream, b"iCCP", b"ICC Profile\0\0" + isal_zlib.compress(icc_profile))
        if resolution:
            _write_chunk(stream, b"pHYs", resolution)
        for piece in _zlib_pieces(pixels, pool):
            _write_chunk(stream, b"IDAT", piece)
        _write_chunk(stream, b"IEND", b"")


def _header(pixels: npt.NDArray[np.uint8]) -> bytes:
    """IHDR's contents; ValueError for pixels that are not a picture this module writes."""
    colour_type = {(): _GREY, (3,): _RGB, (4,): _RGBA}.get(pixels.shape[2:])
    if pixels.dtype != np.uint8 or pixels.ndim < 2 or colour_type is None:
        raise ValueError(
            "PNG pixels are a uint8 array of shape (H, W), (H, W, 3) or (H, W, 4), "
            f"not {pixels.dtype} of shape {pixels.shape}."
        )
    height, width = pixels.shape[:2]
    if not (1 <= height <= _MAX_INT and 1 <= width <= _MAX_INT):
        raise ValueError(f"A PNG is 1 to {_MAX_INT} pixels wide and high, not {width} x {height}.")
    return struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)


def _resolution(dpi: tuple[float, float]) -> bytes:
    """pHYs's contents: pixels per metre, across and down; ValueError for no positive 31-bit number."""
    across, down = (per_inch / _METRES_PER_INCH for per_inch in dpi)
    if not (1 <= across <= _MAX_INT and 1 <= down <= _MAX_INT):  # false for not-a-number, too
        raise ValueError(f"A PNG cannot state a resolution of {dpi[0]} x {dpi[1]} pixels per inch.")
    return struct.pack(">IIB", round(across), round(down), 1)


def _write_chunk(stream: BinaryIO, name: bytes, contents: bytes) -> None:
    stream.write(struct.pack(">I4s", len(contents), name))
    stream.write(contents)
    stream.write(struct.pack(">I", isal_zlib.crc32(contents, isal_zlib.crc32(name))))


def _zlib_pieces(pixels: npt.NDArray[np.uint8], pool: ThreadPoolExecutor) -> Iterator[bytes]:
    """The filtered picture's zlib stream in pieces, in order: one per strip, and one that ends it."""
    row_bytes = pixels[0].size
    rows = max(1, _STRIP_BYTES // row_bytes)
    tops = range(0, len(pixels), rows)
    strips = pool.map(lambda top: _deflated_strip(pixels, top, top + rows), tops)
    lead, checksum = _ZLIB_HEADER, 1
    for deflated, strip_checksum, length in strips:
        yield lead + deflated
        lead, checksum = b"", _joined_adler32(checksum, strip_checksum, length)
    yield _EMPTY_LAST_BLOCK + struct.pack(">I", checksum)


def _deflated_strip(pixels: npt.NDArray[np.uint8], top: int, bottom: int) -> tuple[bytes, int, int]:
    """Rows `top` to `bottom` filtered and deflated; and the Adler-32 and length of the filtered bytes."""
    filtered = _average_filtered(pixels, top, bottom)
    deflater = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _RAW_DEFLATE)
    deflated = deflater.compress(filtered) + deflater.flush(isal_zlib.Z_SYNC_FLUSH)
    return deflated, isal_zlib.adler32(filtered), filtered.size


def _average_filtered(pixels: npt.NDArray[np.uint8], top: int, bottom: int) -> npt.NDArray[np.uint8]:
    """Each byte minus the rounded-down mean of those to the left and above, modulo 256; filter type first.

    "Left" is the same sample of the pixel to the left; outside the picture, everything is 0.
    """
    step = 1 if pixels.ndim == 2 else pixels.shape[2]
    strip = pixels[max(top - 1, 0) : bottom]
    rows = np.ascontiguousarray(strip).reshape(len(strip), -1)
    if top == 0:
        rows = np.pad(rows, ((1, 0), (0, 0)))
    above, current = rows[:-1], rows[1:]
    filtered = np.empty((current.shape[0], 1 + current.shape[1]), np.uint8)
    filtered[:, 0] = _AVERAGE
    filtered[:, 1 : 1 + step] = current[:, :step] - (above[:, :step] >> 1)
    left, up = current[:, :-step], above[:, step:]
    # The mean of two bytes without their sum's ninth bit: half of where they differ, plus where they agree.
    mean = left ^ up
    mean >>= 1
    mean += left & up
    np.subtract(current[:, step:], mean, out=filtered[:, 1 + step :])
    return filtered


def _joined_adler32(first: int, second: int, second_length: int) -> int:
    """The Adler-32 of two runs of bytes end to end, from each run's own: sums of RFC 1950's two sums."""
    low = ((first & 0xFFFF) + (second & 0xFFFF) - 1) % _ADLER_BASE
    high = ((first >> 16) + (second >> 16) + second_length * ((first & 0xFFFF) - 1)) % _ADLER_BASE
    return high << 16 | low
