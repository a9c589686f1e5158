"""Reads the directories (IFDs) of TIFF and EXIF data, and bounds their strips, tiles and values.

Sources: TIFF 6.0 (Adobe, 1992), sections 2 and 8; BigTIFF (AWare Systems); TIFF Technical Note 1 (SubIFDs).
"""

import struct
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from shared.errors import DamagedImage
from worker.imaging.containers.file_view import Bytes

SUBFILE_TYPE, WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC = 254, 256, 257, 258, 259, 262
ORIENTATION = 274
STRIP_OFFSETS, SAMPLES_PER_PIXEL, ROWS_PER_STRIP, STRIP_BYTES, PLANAR = 273, 277, 278, 279, 284
PREDICTOR, TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_BYTES, SUB_DIRECTORIES = 317, 322, 323, 324, 325, 330
_EXIF_DIRECTORY, _GPS_DIRECTORY, _INTEROP_DIRECTORY = 34665, 34853, 40965
EXTRA_SAMPLES, SAMPLE_FORMAT, JPEG_OFFSET, JPEG_BYTES = 338, 339, 513, 514
EXIF_PREFIX = b"Exif\0\0"
# Encoders write strips of 8 KiB and more, or one per row.
MAX_STRIPS = 250_000
MAX_NUMBERS = 1_000_000  # of all tags: Pillow makes Python objects of them
MAX_DIRECTORIES = 100
_REDUCED = 1  # of SUBFILE_TYPE
_TYPE_BYTES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
_BYTES = (1, 2, 6, 7)
_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One tag: type, number of values, and where its values start in the file."""

    kind: int
    count: int
    start: int

    @property
    def size_bytes(self) -> int:
        """The length of all values."""
        return _TYPE_BYTES.get(self.kind, 0) * self.count


class Directory:
    """The tags of one image in a TIFF file."""

    def __init__(self, content: Bytes, order: str, entries: dict[int, Entry]) -> None:
        self._content = content
        self._order = order
        self.entries = entries

    def read(self, tag: int) -> tuple[int, ...]:
        """Return a tag's integers; empty if it is missing, cut short, too long, or holds something else."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in _INTEGERS or entry.count > MAX_STRIPS:
            return ()
        if entry.start + entry.size_bytes > len(self._content):
            return ()
        return struct.unpack_from(
            f"{self._order}{entry.count}{_INTEGERS[entry.kind]}", self._content, entry.start
        )

    def read_one(self, tag: int, default: int = 0) -> int:
        """Return a tag's first integer."""
        return next(iter(self.read(tag)), default)

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.read_one(WIDTH) * self.read_one(LENGTH)

    @property
    def is_reduced(self) -> bool:
        """Whether this is a thumbnail or preview of another image in the file."""
        return bool(self.read_one(SUBFILE_TYPE) & _REDUCED)


class TiffFile:
    """The directories of a TIFF file, or of EXIF data without their `Exif` prefix."""

    def __init__(self, content: Bytes) -> None:
        self._content = content
        self.order: Literal["<", ">"] = ">" if content[:2] == b"MM" else "<"
        self.is_big = struct.unpack_from(f"{self.order}H", content, 2)[0] == 43

    @cached_property
    def chain(self) -> list[Directory]:
        """The directories that follow each other: pages. Empty if the first cannot be read."""
        form, at = ("Q", 8) if self.is_big else ("I", 4)
        found: list[Directory] = []
        offsets = set()
        while len(found) < MAX_DIRECTORIES:
            try:
                (offset,) = struct.unpack_from(self.order + form, self._content, at)
                if not offset or offset in offsets:
                    break
                directory, at = self.read_directory(offset)
            except struct.error:
                break
            offsets.add(offset)
            found.append(directory)
        return found

    def read_directory(self, offset: int) -> tuple[Directory, int]:
        """Return the directory at `offset`, and where the next one's offset is. Raises struct.error."""
        head, form, inline = ("Q", "HHQQ", 8) if self.is_big else ("H", "HHII", 4)
        (count,) = struct.unpack_from(self.order + head, self._content, offset)
        at, size = offset + struct.calcsize("<" + head), struct.calcsize("<" + form)
        entries = {}
        for _ in range(min(count, (len(self._content) - at) // size)):
            tag, kind, values, value = struct.unpack_from(self.order + form, self._content, at)
            entry = Entry(kind, values, value)
            entries[tag] = Entry(kind, values, at + size - inline) if entry.size_bytes <= inline else entry
            at += size
        return Directory(self._content, self.order, entries), at

    def read_sub_directories(self, parent: Directory, tag: int = SUB_DIRECTORIES) -> list[Directory]:
        """Return the directories that a tag of a directory refers to, as raw files and EXIF have them."""
        found = []
        for offset in parent.read(tag)[:MAX_DIRECTORIES]:
            try:
                found.append(self.read_directory(offset)[0])
            except struct.error:
                continue
        return found


def check_tiff(tiff: TiffFile, size_bytes: int) -> None:
    """Raise DamagedImage for a TIFF with more strips, tiles or values than encoders write."""
    for directory in tiff.chain[:1]:
        for tag in (STRIP_OFFSETS, TILE_OFFSETS):
            if tag in directory.entries and directory.entries[tag].count > MAX_STRIPS:
                raise DamagedImage(f"The TIFF has more strips or tiles than encoders write ({MAX_STRIPS:,}).")
    if not is_plausible(tiff, size_bytes):
        raise DamagedImage("The tags of the TIFF are longer than the file.")


def is_plausible_exif(exif: bytes) -> bool:
    """Whether EXIF data can be read in their own length."""
    data = exif.removeprefix(EXIF_PREFIX)
    return len(data) < 8 or is_plausible(TiffFile(data), len(data))


def is_plausible(tiff: TiffFile, size_bytes: int) -> bool:
    """Whether the values of all tags that are read fit into the file: many could refer to the same bytes."""
    directories = tiff.chain[:1]
    for tag in (_EXIF_DIRECTORY, _GPS_DIRECTORY, _INTEROP_DIRECTORY):
        directories += [sub for parent in directories for sub in tiff.read_sub_directories(parent, tag)[:1]]
    entries = [entry for directory in directories for entry in directory.entries.values()]
    numbers = sum(entry.count for entry in entries if entry.kind not in _BYTES)
    return numbers <= MAX_NUMBERS and sum(entry.size_bytes for entry in entries) <= size_bytes


def has_more_pages(tiff: TiffFile) -> bool:
    """Whether the file has a second page; thumbnails, masks and previews do not count."""
    return any(directory.read_one(SUBFILE_TYPE) in (0, 2) for directory in tiff.chain[1:])
