"""Bounds the pixels that a HEIC or AVIF file codes, by the size that it announces.

A grid of HEIC may refer to a large tile thousands of times, which libavif checks. libheif checks the coded
size of each image; libavif decodes any, and scales it to the announced size.

Sources: ISO/IEC 14496-12 (boxes), ISO/IEC 23008-12, 6.5.3 (ispe), 6.6.2 (derived images), 8.11.12 (iref).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from mmap import mmap

from shared.errors import DamagedImage
from worker.imaging.containers.av1_sequence import read_coded_size

# A grid's tiles may exceed its canvas at two sides; small images may have one large tile.
MAX_CODED_RATIO, BASE_CODED_PIXELS = 4, 2048 * 2048
# Cameras write tiles of 512 x 512; each costs a decoder of its own, a millisecond.
BASE_TILES, PIXELS_PER_TILE = 1024, 128 * 128
CODED_ALIGNMENT = 64  # of AV1's superblocks: to what an encoder may round a size up
SEQUENCE_BYTES = 4096  # of a coded picture; its sequence header is within
MAX_BOXES = 10_000
_MAX_DEPTH = 8
_FULL_BOX_BYTES = 4  # version and flags

Span = tuple[int, int]


@dataclass(slots=True)
class HeifItems:
    """The image items of a file: the primary one, sizes, and which items each is derived from.

    `extents` are the start and the end of each item's first bytes in the file; `alphas` are the auxiliary
    items by the item that they belong to.
    """

    primary: int = 0
    sizes: dict[int, Span] = field(default_factory=dict)
    extents: dict[int, Span] = field(default_factory=dict)
    sources: dict[int, list[int]] = field(default_factory=dict)
    alphas: dict[int, list[int]] = field(default_factory=dict)

    def count_pixels(self, item: int, depth: int = 0) -> tuple[int, int]:
        """Return how many pixels and how many coded images decoding an item takes. Raises DamagedImage."""
        if depth > _MAX_DEPTH:
            raise DamagedImage
        width, height = self.sizes.get(item, (0, 0))
        if item not in self.sources:
            return width * height, 1
        pixels = tiles = 0
        for source in set(self.sources[item]):
            count = self.sources[item].count(source)
            source_pixels, source_tiles = self.count_pixels(source, depth + 1)
            pixels, tiles = pixels + count * source_pixels, tiles + count * source_tiles
        return pixels, tiles


def check_heif(content: mmap) -> None:
    """Raise DamagedImage if decoding the primary image takes far more pixels or tiles than its size needs.

    A file whose boxes cannot be read is left to the decoder.
    """
    try:
        items = _read_items(content)
    except (struct.error, IndexError, StopIteration):
        return
    width, height = items.sizes.get(items.primary, (0, 0))
    counts = [items.count_pixels(item) for item in (items.primary, *items.alphas.get(items.primary, ()))]
    for pixels, tiles in counts:
        if pixels > MAX_CODED_RATIO * width * height + BASE_CODED_PIXELS:
            raise DamagedImage("The HEIC file has larger tiles than an image of its size needs.")
        if tiles > BASE_TILES + width * height // PIXELS_PER_TILE:
            raise DamagedImage("The HEIC file has more tiles than an image of its size needs.")


def check_avif(content: mmap) -> None:
    """Raise DamagedImage if an item's coded picture has another size than the item announces.

    A file whose boxes or sequence headers cannot be read is left to the decoder.
    """
    try:
        items = _read_items(content)
    except (struct.error, IndexError, StopIteration):
        return
    for item in items.sizes.keys() & items.extents.keys() - items.sources.keys():
        start, end = items.extents[item]
        coded = read_coded_size(content[start : min(end, start + SEQUENCE_BYTES)])
        if coded and not all(map(_is_aligned_size, coded, items.sizes[item])):
            coded_text, announced_text = ("{} x {}".format(*size) for size in (coded, items.sizes[item]))
            raise DamagedImage(
                f"The AVIF file announces {announced_text} pixels for a picture of {coded_text}."
            )


def _is_aligned_size(coded: int, announced: int) -> bool:
    return announced <= coded <= -(-announced // CODED_ALIGNMENT) * CODED_ALIGNMENT


def _read_items(content: mmap) -> HeifItems:
    items = HeifItems()
    for name, start, end in _walk_boxes(content, 0, len(content)):
        if name == b"meta":
            for child, child_start, child_end in _walk_boxes(content, start + _FULL_BOX_BYTES, end):
                if child == b"pitm":
                    items.primary = _read_id(content, child_start + 4, is_long=content[child_start] > 0)
                elif child == b"iprp":
                    items.sizes = _read_sizes(content, child_start, child_end)
                elif child == b"iloc":
                    items.extents = _read_extents(content, child_start)
                elif child == b"iref":
                    _read_references(content, child_start, child_end, items)
            break
    return items


def _walk_boxes(content: mmap, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield each box's name, and where its content starts and ends."""
    for _ in range(MAX_BOXES):
        if start + 8 > end:
            return
        size, name = struct.unpack_from(">I4s", content, start)
        head = 8
        if size == 1:
            (size,), head = struct.unpack_from(">Q", content, start + 8), 16
        stop = end if size == 0 else start + size
        if size and size < head:
            raise struct.error
        yield name, start + head, min(stop, end)
        start = stop
    raise DamagedImage(f"The file has more boxes than any encoder writes ({MAX_BOXES:,}).")


def _read_id(content: mmap, at: int, *, is_long: bool) -> int:
    return int(struct.unpack_from(">I" if is_long else ">H", content, at)[0])


def _read_extents(content: mmap, start: int) -> dict[int, Span]:
    """Return the first extent of each item (iloc) whose bytes are addressed by their place in the file."""
    version, fields = content[start], struct.unpack_from(">H", content, start + 4)[0]
    offset_bytes, length_bytes, base_bytes, index_bytes = (fields >> shift & 15 for shift in (12, 8, 4, 0))
    at = start + 6

    def read(size_bytes: int) -> int:
        nonlocal at
        at += size_bytes
        if at > len(content):
            raise IndexError
        return int.from_bytes(content[at - size_bytes : at], "big")

    id_bytes = 4 if version == 2 else 2
    extents = {}
    for _ in range(read(id_bytes)):
        item = read(id_bytes)
        method = read(2) & 15 if version else 0
        is_elsewhere = read(2) != 0 or method != 0  # in another file, or relative to a box
        base = read(base_bytes)
        for number in range(read(2)):
            read(index_bytes if version else 0)
            offset, length = base + read(offset_bytes), read(length_bytes)
            if number == 0 and not is_elsewhere:
                extents[item] = offset, offset + length if length else len(content)
    return extents


def _read_sizes(content: mmap, start: int, end: int) -> dict[int, Span]:
    """Return the announced width and height of each item (ispe), by the associations (ipma)."""
    properties: list[Span | None] = [None]  # indexes start with 1
    sizes: dict[int, Span] = {}
    for name, box_start, box_end in _walk_boxes(content, start, end):
        if name == b"ipco":
            for kind, at, _ in _walk_boxes(content, box_start, box_end):
                properties.append(struct.unpack_from(">II", content, at + 4) if kind == b"ispe" else None)
        elif name == b"ipma":
            sizes |= _read_associations(content, box_start, properties)
    return sizes


def _read_associations(content: mmap, start: int, properties: list[Span | None]) -> dict[int, Span]:
    is_long_id, is_long_index = content[start] > 0, content[start + 3] & 1
    (count,), at = struct.unpack_from(">I", content, start + 4), start + 8
    sizes = {}
    for _ in range(count):
        item = _read_id(content, at, is_long=is_long_id)
        at += 4 if is_long_id else 2
        associated, at = content[at], at + 1
        for _ in range(associated):
            index = struct.unpack_from(">H", content, at)[0] & 0x7FFF if is_long_index else content[at] & 0x7F
            at += 2 if is_long_index else 1
            if index < len(properties) and (size := properties[index]):
                sizes[item] = size
    return sizes


def _read_references(content: mmap, start: int, end: int, items: HeifItems) -> None:
    """Read what items are derived from (dimg), and which are the alpha of others (auxl)."""
    is_long = content[start] > 0
    id_bytes = 4 if is_long else 2
    for name, at, _ in _walk_boxes(content, start + _FULL_BOX_BYTES, end):
        item = _read_id(content, at, is_long=is_long)
        (count,) = struct.unpack_from(">H", content, at + id_bytes)
        first = at + id_bytes + 2
        targets = struct.unpack_from(f">{count}{'I' if is_long else 'H'}", content, first)
        if name == b"dimg":
            items.sources.setdefault(item, []).extend(targets)
        elif name == b"auxl":
            for target in targets:
                items.alphas.setdefault(target, []).append(item)
