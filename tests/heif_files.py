"""Writes HEIC and AVIF files of a grid whose tiles are one and the same image.

Sources: ISO/IEC 14496-12 (boxes), ISO/IEC 23008-12, 6.6.2.3 (image grid).
"""

import struct

import pillow_heif
from PIL import Image

from tests.photos import encoded

pillow_heif.register_heif_opener()
_GRID, _TILE = 1, 2  # item ids


def box(name: bytes, *contents: bytes) -> bytes:
    """Return a box."""
    content = b"".join(contents)
    return struct.pack(">I4s", 8 + len(content), name) + content


def full_box(name: bytes, *contents: bytes, flags: int = 0) -> bytes:
    """Return a box of version 0."""
    return box(name, struct.pack(">I", flags), *contents)


def grid(
    tile: Image.Image,
    rows: int,
    columns: int,
    size: tuple[int, int],
    kind: str = "HEIF",
    *,
    as_alpha: bool = False,
) -> bytes:
    """Return a file of `rows` x `columns` references to a tile; `as_alpha`: this grid is the tile's alpha."""
    whole = encoded(tile, kind, quality=50)
    brand, codec, config = (b"heic", b"hvc1", b"hvcC") if kind == "HEIF" else (b"avif", b"av01", b"av1C")
    data = whole[whole.index(b"mdat") + 4 :]
    layout = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, *size)
    properties = [
        full_box(b"ispe", struct.pack(">II", *size)),
        _find_box(whole, config),
        full_box(b"ispe", struct.pack(">II", *tile.size)),
        full_box(b"pixi", bytes([3, 8, 8, 8])),
    ]
    # libavif refuses a second reference to an item; several items may have the same bytes.
    tiles = [_TILE] if kind == "HEIF" else list(range(_TILE, _TILE + rows * columns))
    targets = tiles * (rows * columns // len(tiles))
    references = struct.pack(f">HH{len(targets)}H", _GRID, len(targets), *targets)
    associations = struct.pack(">IHB2B", 1 + len(tiles), _GRID, 2, 1, 4)
    associations += b"".join(struct.pack(">HB3B", item, 3, 2 | 0x80, 3, 4) for item in tiles)
    items = [full_box(b"infe", struct.pack(">HH4s", item, 0, name), b"\0") for item, name in
             [(_GRID, b"grid"), *[(item, codec) for item in tiles]]]  # fmt: skip
    items = [b[:8] + b"\2" + b[9:] for b in items]  # version 2
    head = box(b"ftyp", brand, bytes(4), b"mif1", brand)

    auxiliary = [box(b"auxl", struct.pack(">HHH", _GRID, 1, _TILE))] if as_alpha else []

    def meta(start: int) -> bytes:
        places = [(_GRID, start, len(layout))]
        places += [(item, start + len(layout), len(data)) for item in tiles]
        extents = b"".join(struct.pack(">HHHII", item, 0, 1, at, length) for item, at, length in places)
        return full_box(
            b"meta",
            full_box(b"hdlr", bytes(4), b"pict", bytes(13)),
            full_box(b"pitm", struct.pack(">H", _TILE if as_alpha else _GRID)),
            full_box(b"iloc", b"\x44\0", struct.pack(">H", len(places)), extents),
            full_box(b"iinf", struct.pack(">H", len(items)), *items),
            full_box(b"iref", box(b"dimg", references), *auxiliary),
            box(b"iprp", box(b"ipco", *properties), full_box(b"ipma", associations)),
        )

    start = len(head) + len(meta(0)) + 8
    return head + meta(start) + box(b"mdat", layout, data)


def _find_box(content: bytes, name: bytes) -> bytes:
    at = content.index(name) - 4
    return content[at : at + int.from_bytes(content[at : at + 4], "big")]
