"""Corpus cases of TIFF that Pillow mixes up or refuses: separate planes of 16 bits, and grey with alpha."""

import struct
import zlib
from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tests import raw_images
from tests.corpus.pictures import Case, deep, grey_rgb, picture, rgb_of, veil

_SHORT, _LONG = 3, 4
_DEFLATE, _DIFFERENCING = 8, 2
_ROWS = 48  # of a strip: the last one is shorter


def planar_tiff() -> Iterator[Case]:
    """Yield all cases."""
    grey, colours = np.asarray(picture().convert("L")), rgb_of(picture())
    both, all_four = np.dstack([grey, veil()]), np.dstack([colours, veil()])
    thinned = np.rint(grey * (veil() / 255)).astype(np.uint8)
    white = raw_images.TIFF_WHITE_IS_ZERO
    for form in ("planes", "pixels"):
        for packed in (False, True):
            for big_endian in (False, True):
                name = (
                    f"{form}, {'deflate' if packed else 'plain'}, {'big' if big_endian else 'little'}-endian"
                )
                options = {"is_planar": form == "planes", "packed": packed, "big_endian": big_endian}
                yield Case(
                    f"LA of 16 bits, {name}", write(deep(both), 1, 2, **options), grey_rgb(grey), veil()
                )
                yield Case(f"LA of 8 bits, {name}", write(both, 1, 2, **options), grey_rgb(grey), veil())
                yield Case(f"RGB of 16 bits, {name}", write(deep(colours), 2, None, **options), colours)
                yield Case(
                    f"RGBA of 16 bits, {name}", write(deep(all_four), 2, 2, **options), colours, veil()
                )
    yield Case("La", write(np.dstack([thinned, veil()]), 1, 1), grey_rgb(grey), veil())
    inverse = np.dstack([np.uint16(65535) - deep(grey), deep(veil())])
    yield Case("LA of 16 bits, white is 0", write(inverse, white, 2), grey_rgb(grey), veil())
    yield Case("grey and other data", write(deep(both), 1, 0), grey_rgb(grey))
    yield Case(
        "L of 16 bits, one plane", write(deep(grey)[..., None], 1, None, is_planar=True), grey_rgb(grey)
    )


def write(
    samples: NDArray[np.unsignedinteger],
    photometric: int,
    extra: int | None,
    *,
    is_planar: bool = False,
    packed: bool = False,
    big_endian: bool = False,
) -> bytes:
    """Write (H, W, C) samples as a TIFF in strips, of planes or pixels; `packed`: deflated differences."""
    order: Literal["<", ">"] = ">" if big_endian else "<"
    height, width, count = samples.shape
    layers = np.moveaxis(samples, 2, 0)[..., None] if is_planar else samples[None]
    if packed:
        layers = np.diff(layers, axis=2, prepend=np.zeros_like(layers[:, :, :1]))
    strips = [
        layer[top : top + _ROWS].astype(samples.dtype.newbyteorder(order)).tobytes()
        for layer in layers
        for top in range(0, height, _ROWS)
    ]
    strips = [zlib.compress(strip) for strip in strips] if packed else strips
    starts = [8 + sum(map(len, strips[:index])) for index in range(len(strips))]
    fields = {256: (_LONG, [width]), 257: (_LONG, [height]), 258: (_SHORT, [samples.itemsize * 8] * count)}
    fields |= {259: (_SHORT, [_DEFLATE if packed else 1]), 262: (_SHORT, [photometric]), 273: (_LONG, starts)}
    fields |= {277: (_SHORT, [count]), 278: (_LONG, [_ROWS]), 279: (_LONG, [*map(len, strips)])}
    fields |= {284: (_SHORT, [2 if is_planar else 1]), 317: (_SHORT, [_DIFFERENCING if packed else 1])}
    fields |= {} if extra is None else {338: (_SHORT, [extra])}
    body = b"".join(strips)
    entries = []
    for tag, (kind, values) in fields.items():
        data = struct.pack(f"{order}{len(values)}{'I' if kind == _LONG else 'H'}", *values)
        if len(data) > 4:
            data, body = struct.pack(f"{order}I", 8 + len(body)), body + data
        entries.append(struct.pack(f"{order}HHI", tag, kind, len(values)) + data.ljust(4, b"\0"))
    head = (b"MM\0*" if big_endian else b"II*\0") + struct.pack(f"{order}I", 8 + len(body))
    return head + body + struct.pack(f"{order}H", len(entries)) + b"".join(entries) + bytes(4)
