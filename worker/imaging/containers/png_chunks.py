"""Walks the chunks of a PNG: keeps pixels and valid metadata, drops what cannot be read, as browsers do.

Source: PNG Specification, third edition (W3C), chapters 5 and 11.
"""

import struct
import zlib
from mmap import mmap

from shared.errors import DamagedImage
from worker.imaging.containers.contents import FIRST_FRAME_ONLY, Contents
from worker.imaging.containers.file_view import Part
from worker.imaging.containers.tiff_directories import is_plausible_exif

# Encoders write chunks of 8 KiB and more, or one per row.
MAX_CHUNKS = 100_000
MAX_PROFILE_BYTES = 16 * 1024**2
_SIGNATURE_BYTES = 8
_END = b"\0\0\0\0IEND\xaeB`\x82"
_PALETTE = 3  # colour type
# Lengths of tRNS by colour type; images with an alpha channel have none.
_TRANSPARENCY_BYTES = {0: (2, 2), 2: (6, 6), _PALETTE: (1, 256)}


class PngWalk:
    """The state of one walk: the parts that are kept, and what the chunks so far allow."""

    def __init__(self, content: mmap) -> None:
        self.parts: list[Part] = [(0, _SIGNATURE_BYTES)]
        self.icc_profile: bytes | None = None
        self.frames = 1
        self._content = content
        self._colour_type = -1
        self._palette_entries = 0
        self._seen: set[bytes] = set()

    def add(self, name: bytes, start: int, end: int) -> None:
        """Keep a chunk if a decoder needs it. `start` and `end` are its data's, in the file."""
        if name == b"IDAT" and end + 4 > len(self._content):
            self._add_cut_short(name, start)
        elif name in (b"IHDR", b"PLTE", b"IDAT"):
            self._add_critical(name, start, end)
        elif name in (b"iCCP", b"tRNS", b"pHYs", b"eXIf", b"acTL") and name not in self._seen:
            self._add_ancillary(name, start, end)

    def _add_critical(self, name: bytes, start: int, end: int) -> None:
        self._seen.add(name)
        if name == b"IHDR" and end - start >= 13:
            self._colour_type = self._content[start + 9]
        if name == b"PLTE":
            if self._colour_type != _PALETTE:
                return  # a suggestion only
            self._palette_entries = (end - start) // 3
        self.parts.append((start - 8, end + 4))

    def _add_ancillary(self, name: bytes, start: int, end: int) -> None:
        checked = zlib.crc32(self._content[start - 4 : end])
        if self._content[end : end + 4] != checked.to_bytes(4, "big"):
            return
        length = end - start
        if name == b"iCCP":
            self.icc_profile = _read_profile(self._content[start:end])
        elif name == b"acTL":
            self.frames = int.from_bytes(self._content[start : start + 4], "big")
        elif (
            (name == b"eXIf" and length and is_plausible_exif(self._content[start:end]))
            or (name == b"pHYs" and length == 9)
            or (name == b"tRNS" and self._is_transparency(length))
        ):
            self.parts.append((start - 8, end + 4))
        self._seen.add(name)

    def _is_transparency(self, length: int) -> bool:
        if self._colour_type not in _TRANSPARENCY_BYTES:
            return False
        least, most = _TRANSPARENCY_BYTES[self._colour_type]
        if self._colour_type == _PALETTE:
            most = min(most, self._palette_entries)
        return least <= length <= most

    def _add_cut_short(self, name: bytes, start: int) -> None:
        """Keep what there is of the last chunk of pixels: at times only its checksum is missing."""
        data = self._content[start : min(start + self._length_at(start), len(self._content))]
        self.parts.append(struct.pack(">I4s", len(data), name) + data + bytes(4))

    def _length_at(self, start: int) -> int:
        return int.from_bytes(self._content[start - 8 : start - 4], "big")


def read_png(content: mmap) -> Contents:
    """Return the chunks that hold pixels or valid metadata. Raises DamagedImage for too many chunks."""
    walk, position, count = PngWalk(content), _SIGNATURE_BYTES, 0
    while position + 8 <= len(content):
        length, name = struct.unpack_from(">I4s", content, position)
        if name == b"IEND":
            break
        count += 1
        if count > MAX_CHUNKS:
            raise DamagedImage(f"The PNG has more chunks than any encoder writes ({MAX_CHUNKS:,}).")
        walk.add(name, position + 8, position + 8 + length)
        position += length + 12
    return Contents([*walk.parts, _END], walk.icc_profile, (FIRST_FRAME_ONLY,) if walk.frames > 1 else ())


def _read_profile(data: bytes) -> bytes | None:
    """Return the ICC profile in an iCCP chunk; None if it is damaged or larger than MAX_PROFILE_BYTES."""
    name, _, compressed = data.partition(b"\0")
    if not 1 <= len(name) <= 79 or compressed[:1] != b"\0":
        return None
    inflater = zlib.decompressobj()
    try:
        profile = inflater.decompress(compressed[1:], MAX_PROFILE_BYTES + 1)
    except zlib.error:
        return None
    return profile if inflater.eof and len(profile) <= MAX_PROFILE_BYTES else None
