"""Walks the segments of a JPEG: keeps pixels and valid metadata, and bounds scans, which decode all pixels.

Source: ITU-T T.81, annex B: the markers and their segments; JFIF 1.02; EXIF 2.32, 4.7.2; ICC.1:2022, annex B.
"""

import hashlib
import io
import re
import struct

from PIL import Image

from shared.errors import DamagedImage
from worker.imaging.containers.contents import Contents
from worker.imaging.containers.file_view import Bytes, FileView, Part
from worker.imaging.containers.tiff_directories import EXIF_PREFIX, is_plausible_exif

# Encoders write about ten. Hundreds fit into a small file, and each takes 0.2 s to decode at 100 megapixels.
MAX_SCANS = 100
MAX_SEGMENTS = 10_000
_MAX_PROFILE_SEGMENTS = 255  # of 64 KiB: a byte counts them
_START_OF_SCAN, _END_OF_IMAGE, _FILL = 0xDA, 0xD9, 0xFF
_APP0, _EXIF, _ICC, _ADOBE = 0xE0, 0xE1, 0xE2, 0xEE
_END = b"\xff\xd9"
# Markers of segments with a length: neither stuffing bytes within a scan, nor TEM, RST, SOI and fill bytes.
_SEGMENT = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
_FRAMES = frozenset([0xC0, 0xC1, 0xC2, 0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)])
# The frame header, tables and scans: what the pixels need.
_PIXELS = frozenset([*range(0xC0, 0xC8), *range(0xC9, 0xD0), *range(0xDA, 0xE0)])
_RESTARTS = range(0xD0, 0xD8)
# By marker, the identifier and the shortest data of a metadata segment that is read.
_METADATA = {
    _APP0: (b"JFIF\0", 14),
    _EXIF: (EXIF_PREFIX, 14),
    _ICC: (b"ICC_PROFILE\0", 15),
    _ADOBE: (b"Adobe", 12),
}
_STRIP_ROWS = 256


class JpegWalk:
    """The state of one walk over the first image of a JPEG file."""

    def __init__(self, content: Bytes) -> None:
        self.parts: list[Part] = [(0, 2)]
        self.scans = self.segments = 0
        self.is_ended = False
        self._content = content
        self._metadata_counts = dict.fromkeys(_METADATA, 0)

    def run(self) -> None:
        """Walk to the image's end. Raises DamagedImage for more scans or segments than encoders write."""
        position = 2
        while marker := _SEGMENT.search(self._content, position):
            if self.scans:
                self.parts.append((position, marker.start()))
            position = marker.end()
            if self._content[position - 1] == _END_OF_IMAGE:
                self.is_ended = True
                return
            length = int.from_bytes(self._content[position : position + 2], "big")
            end = position + max(2, length)
            self._count(self._content[position - 1])
            if self._is_needed(self._content[position - 1], position + 2, end):
                self.parts.append((marker.start(), min(end, len(self._content))))
            position = end
        end = len(self._content)
        while end > position and self._content[end - 1] == _FILL:  # the start of a marker
            end -= 1
        if self.scans and position < end:
            self.parts.append((position, end))

    def _count(self, marker: int) -> None:
        self.scans += marker == _START_OF_SCAN
        self.segments += 1
        if self.scans > MAX_SCANS:
            raise DamagedImage(f"The JPEG has more scans than any encoder writes ({MAX_SCANS}).")
        if self.segments > MAX_SEGMENTS:
            raise DamagedImage(f"The JPEG has more segments than any encoder writes ({MAX_SEGMENTS:,}).")

    def _is_needed(self, marker: int, start: int, end: int) -> bool:
        if marker in _PIXELS:
            return True
        identifier, least = _METADATA.get(marker, (b"", 0))
        if not identifier or end > len(self._content) or end - start < least:
            return False
        if self._content[start : start + len(identifier)] != identifier:
            return False
        self._metadata_counts[marker] += 1
        # Cameras write one of each kind; only a profile takes several segments.
        if self._metadata_counts[marker] > (_MAX_PROFILE_SEGMENTS if marker == _ICC else 1):
            return False
        return marker != _EXIF or is_plausible_exif(self._content[start:end])


def read_jpeg(content: Bytes) -> Contents:
    """Return the segments of the first image in a JPEG file that hold pixels or valid metadata.

    A missing end marker is added. Raises DamagedImage for a file that would take minutes to decode.
    """
    walk = JpegWalk(content)
    walk.run()
    return Contents([*walk.parts, _END], is_ended=walk.is_ended)


def read_frame(content: Bytes, start: int, end: int) -> tuple[int, int, int, int] | None:
    """Return marker, width, height and components of the frame of a JPEG at `start`; None without one."""
    if content[start : start + 2] != b"\xff\xd8":
        return None
    position, end = start + 2, min(end, len(content))
    for _ in range(MAX_SEGMENTS):
        marker = _SEGMENT.search(content, position, end)
        if marker is None or marker.end() + 8 > end or content[marker.end() - 1] == _START_OF_SCAN:
            return None
        position = marker.end()
        if content[position - 1] in _FRAMES:
            height, width, components = struct.unpack_from(">HHB", content, position + 3)
            return content[position - 1], width, height, components
        position += max(2, int.from_bytes(content[position : position + 2], "big"))
    return None


def check_complete(content: Bytes, parts: list[Part]) -> None:
    """Raise DamagedImage if a JPEG whose end marker was added lacks pixels.

    libjpeg decodes missing data without an error. But bytes appended to incomplete data change the pixels,
    while after the last pixel they are skipped.
    """
    data = hashlib.shake_128(b"tail").digest(256).replace(b"\xff", b"\x55")
    tail = data + _next_restart(content, parts[-2]) + data
    if _hash_pixels(content, parts) != _hash_pixels(content, [*parts[:-1], tail, _END]):
        raise DamagedImage


def _next_restart(content: Bytes, scan: Part) -> bytes:
    """Return the restart marker that follows the last one of a scan."""
    start = scan[0] if isinstance(scan, tuple) else 0
    _, last = max((content.rfind(bytes([0xFF, marker]), start), marker) for marker in _RESTARTS)
    return bytes([0xFF, _RESTARTS[(last + 1) % len(_RESTARTS)]])


def _hash_pixels(content: Bytes, parts: list[Part]) -> bytes:
    with Image.open(io.BufferedReader(FileView(content, parts)), formats=["JPEG"]) as image:
        image.load()
        digest = hashlib.blake2b()
        for top in range(0, image.height, _STRIP_ROWS):
            strip = image.crop((0, top, image.width, min(top + _STRIP_ROWS, image.height)))
            digest.update(strip.tobytes())
        return digest.digest()
