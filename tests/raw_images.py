"""Writes PNG and TIFF files with pixel formats that Pillow can read and cannot write.

Sources: PNG Specification, third edition (W3C); TIFF 6.0 (Adobe, 1992).
"""

import struct
import zlib
from typing import Literal

import numpy as np
from numpy.typing import NDArray

PNG_GREY, PNG_RGB, PNG_GREY_ALPHA, PNG_RGBA = 0, 2, 4, 6
TIFF_WHITE_IS_ZERO, TIFF_BLACK_IS_ZERO, TIFF_RGB, TIFF_CMYK, TIFF_LAB = 0, 1, 2, 5, 8
PREMULTIPLIED = 1  # of TIFF's tag ExtraSamples
_SHORT, _LONG = 3, 4


def png(
    samples: NDArray[np.unsignedinteger], colour_type: int, depth: int, transparent: bytes = b""
) -> bytes:
    """Write (H, W) or (H, W, C) samples as a PNG of this depth: 1 to 8 from uint8, 16 from uint16."""
    height, width = samples.shape[:2]
    if depth < 8:
        bits = np.unpackbits(samples[..., None], axis=-1)[..., 8 - depth :]
        rows = np.packbits(bits.reshape(height, -1), axis=-1)
    else:
        rows = samples.astype(">u2" if depth == 16 else "u1").reshape(height, -1).view(np.uint8)
    filtered = np.pad(rows, ((0, 0), (1, 0))).tobytes()
    head = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"tRNS", transparent), (b"IDAT", zlib.compress(filtered)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks if each[1] or each[0] == b"IEND")


def chunk(name: bytes, content: bytes) -> bytes:
    """Return one chunk of a PNG."""
    return struct.pack(">I4s", len(content), name) + content + struct.pack(">I", zlib.crc32(name + content))


def tiff(
    samples: NDArray[np.unsignedinteger],
    photometric: int,
    *,
    big_endian: bool = False,
    bits: int | None = None,
    extra: int | None = None,
    more: tuple[tuple[int, int], ...] = (),
) -> bytes:
    """Write (H, W) or (H, W, C) samples as an uncompressed TIFF; `bits=12` packs them.

    `extra` is the tag ExtraSamples; `more` are further tags with a value each.
    """
    order: Literal["<", ">"] = ">" if big_endian else "<"
    height, width = samples.shape[:2]
    count = samples.shape[2] if samples.ndim == 3 else 1
    data = _pack_12(samples) if bits == 12 else samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    depths = struct.pack(f"{order}{count}H", *[bits or samples.itemsize * 8] * count)
    depths_at, data_at = 8, 8 + len(depths) + len(depths) % 2
    tags = [(256, _LONG, 1, width), (257, _LONG, 1, height)]
    tags += [(258, _SHORT, count, depths_at if count > 2 else bits or samples.itemsize * 8)]
    tags += [(259, _SHORT, 1, 1), (262, _SHORT, 1, photometric), (273, _LONG, 1, data_at)]
    tags += [(277, _SHORT, 1, count), (278, _LONG, 1, height), (279, _LONG, 1, len(data))]
    tags += [] if extra is None else [(338, _SHORT, 1, extra)]
    tags = sorted(tags + [(tag, _LONG, 1, value) for tag, value in more])
    head = (b"MM\0*" if big_endian else b"II*\0") + struct.pack(f"{order}I", data_at + len(data))
    directory = b"".join(_entry(order, *tag) for tag in tags)
    body = head + depths.ljust(data_at - depths_at, b"\0") + data
    return body + struct.pack(f"{order}H", len(tags)) + directory + bytes(4)


def _entry(order: str, tag: int, kind: int, count: int, value: int) -> bytes:
    in_place = kind == _SHORT and count <= 2
    return struct.pack(
        f"{order}HHI" + ("HH" if in_place else "I"), tag, kind, count, *([value, 0] if in_place else [value])
    )


def _pack_12(samples: NDArray[np.unsignedinteger]) -> bytes:
    """Pack pairs of 12-bit samples into three bytes; rows must have an even width."""
    first, second = samples[:, ::2].astype(np.uint16), samples[:, 1::2].astype(np.uint16)
    parts = (first >> 4, (first & 15) << 4 | second >> 8, second & 255)
    return np.stack(parts, axis=-1).astype(np.uint8).tobytes()
