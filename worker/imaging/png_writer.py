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

import math
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import IO

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


# Returns the picture's rows from the first up to, without, the second; asked for on several threads at once.
Rows = Callable[[int, int], npt.NDArray[np.uint8]]


def encode(
    shape: tuple[int, ...],
    rows_of: Rows,
    stream: IO[bytes],
    *,
    icc_profile: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    threads: int = 2,
) -> None:
    """Write a picture to `stream` as one complete PNG file, 8 bits a sample, not interlaced.

    shape: (H, W) for grey, (H, W, 3) for RGB or (H, W, 4) for RGBA with alpha not premultiplied.
    rows_of: gives the picture's rows, uint8; it is asked for a strip at a time, in any order, with one row of
        overlap, so that the picture never has to exist whole. Every sample comes back exactly, colours under
        transparent pixels too. The work needs a few MiB per thread beyond the compressed file.
    stream: takes bytes in order; it is never sought, flushed or closed.
    icc_profile: the pixels' colour profile, stored as it is (None or empty: none). It has to describe RGB, or
        grey where the pixels are grey; readers ignore one that does not.
    dpi: (horizontal, vertical) resolution in pixels per inch, stored in whole pixels per metre.
    threads: how many strips are worked on at once.

    Raises ValueError, before anything is written, for any other shape, for a side of 0 or of more than
    2**31 - 1 pixels, for a resolution the file cannot state, and for fewer than one thread; later, for rows
    of another type or shape. What `stream.write` and `rows_of` raise passes through.
    """
    header = _header(shape)
    resolution = b"" if dpi is None else _resolution(dpi)
    with ThreadPoolExecutor(threads) as pool:
        stream.write(_SIGNATURE)
        _write_chunk(stream, b"IHDR", header)
        if icc_profile:
            _write_chunk(stream, b"iCCP", b"ICC Profile\0\0" + isal_zlib.compress(icc_profile))
        if resolution:
            _write_chunk(stream, b"pHYs", resolution)
        for piece in _zlib_pieces(shape, rows_of, pool):
            _write_chunk(stream, b"IDAT", piece)
        _write_chunk(stream, b"IEND", b"")


def _header(shape: tuple[int, ...]) -> bytes:
    """IHDR's contents; ValueError for a shape that is no picture this module writes."""
    colour_type = {(): _GREY, (3,): _RGB, (4,): _RGBA}.get(shape[2:])
    if len(shape) < 2 or colour_type is None:
        raise ValueError(f"PNG pixels have the shape (H, W), (H, W, 3) or (H, W, 4), not {shape}.")
    height, width = shape[:2]
    if not (1 <= height <= _MAX_INT and 1 <= width <= _MAX_INT):
        raise ValueError(f"A PNG is 1 to {_MAX_INT} pixels wide and high, not {width} x {height}.")
    return struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)


def _resolution(dpi: tuple[float, float]) -> bytes:
    """pHYs's contents: pixels per metre, across and down; ValueError for no positive 31-bit number."""
    across, down = (per_inch / _METRES_PER_INCH for per_inch in dpi)
    if not (1 <= across <= _MAX_INT and 1 <= down <= _MAX_INT):  # false for not-a-number, too
        raise ValueError(f"A PNG cannot state a resolution of {dpi[0]} x {dpi[1]} pixels per inch.")
    return struct.pack(">IIB", round(across), round(down), 1)


def _write_chunk(stream: IO[bytes], name: bytes, contents: bytes) -> None:
    stream.write(struct.pack(">I4s", len(contents), name))
    stream.write(contents)
    stream.write(struct.pack(">I", isal_zlib.crc32(contents, isal_zlib.crc32(name))))


def _zlib_pieces(shape: tuple[int, ...], rows_of: Rows, pool: ThreadPoolExecutor) -> Iterator[bytes]:
    """The filtered picture's zlib stream in pieces, in order: one per strip, and one that ends it."""
    height = shape[0]
    step = max(1, _STRIP_BYTES // math.prod(shape[1:]))

    def deflated(top: int) -> tuple[bytes, int, int]:
        first, bottom = max(top - 1, 0), min(top + step, height)
        rows = rows_of(first, bottom)
        if rows.dtype != np.uint8 or rows.shape != (bottom - first, *shape[1:]):
            raise ValueError(
                f"Rows {first} to {bottom} of a {shape} picture came as {rows.dtype} {rows.shape}."
            )
        return _deflated(_average_filtered(rows, is_top=top == 0))

    strips = pool.map(deflated, range(0, height, step))
    lead, checksum = _ZLIB_HEADER, 1
    for data, strip_checksum, length in strips:
        yield lead + data
        lead, checksum = b"", _joined_adler32(checksum, strip_checksum, length)
    yield _EMPTY_LAST_BLOCK + struct.pack(">I", checksum)


def _deflated(filtered: npt.NDArray[np.uint8]) -> tuple[bytes, int, int]:
    """A filtered strip, deflated; and the Adler-32 and length of the filtered bytes."""
    deflater = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _RAW_DEFLATE)
    data = deflater.compress(filtered) + deflater.flush(isal_zlib.Z_SYNC_FLUSH)
    return data, isal_zlib.adler32(filtered), filtered.size


def _average_filtered(strip: npt.NDArray[np.uint8], *, is_top: bool) -> npt.NDArray[np.uint8]:
    """Each byte minus the rounded-down mean of those to the left and above, modulo 256; filter type first.

    "Left" is the same sample of the pixel to the left; outside the picture, everything is 0. A strip that is
    not the picture's top begins with the row above it.
    """
    step = 1 if strip.ndim == 2 else strip.shape[2]
    rows = np.ascontiguousarray(strip).reshape(len(strip), -1)
    if is_top:
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
