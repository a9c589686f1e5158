"""Walks the blocks of a GIF up to the end of its first frame, and bounds their number.

Source: GIF89a Specification (CompuServe, 1990), sections 15 to 27.
"""

from mmap import mmap

from shared.errors import DamagedImage
from worker.imaging.containers.contents import FIRST_FRAME_ONLY, Contents
from worker.imaging.containers.file_view import Part

# Encoders fill sub-blocks of 255 bytes; a pixel takes at most 12 bits of them.
BASE_BLOCKS, PIXELS_PER_BLOCK = 100_000, 16
_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_GRAPHIC_CONTROL = 0xF9
_HEADER_BYTES, _DESCRIPTOR_BYTES = 13, 10


class GifWalk:
    """The state of one walk."""

    def __init__(self, content: mmap) -> None:
        width, height = (int.from_bytes(content[at : at + 2], "little") for at in (6, 8))
        self.position = _HEADER_BYTES + _table_bytes(content[10:11])
        self._blocks_left = BASE_BLOCKS + width * height // PIXELS_PER_BLOCK
        self._content = content

    def skip_to_image(self) -> tuple[int, int]:
        """Move to the next image descriptor; return the part of the last graphic control extension."""
        control = (0, 0)
        while (kind := self._content[self.position]) not in (_IMAGE, _TRAILER):
            start = self.position
            if kind == _EXTENSION:
                self.position += 2
                self._skip_sub_blocks()
                if self._content[start + 1] == _GRAPHIC_CONTROL:
                    control = (start, self.position)
            else:
                self.position += 1  # padding
                self._count_blocks(1)
        return control

    def is_at_image(self) -> bool:
        """Whether an image descriptor follows."""
        return self._content[self.position] == _IMAGE

    def skip_image(self) -> None:
        """Move behind an image."""
        flags = self._content[self.position + 9 : self.position + 10]
        self.position += _DESCRIPTOR_BYTES + _table_bytes(flags) + 1  # and the LZW code size
        self._skip_sub_blocks()

    def _skip_sub_blocks(self) -> None:
        content, position, count = self._content, self.position, 1
        while length := content[position]:
            position += length + 1
            count += 1
            if count > self._blocks_left:
                break
        self.position = position + 1
        self._count_blocks(count)

    def _count_blocks(self, count: int) -> None:
        self._blocks_left -= count
        if self._blocks_left < 0:
            raise DamagedImage("The GIF has more blocks than any encoder writes.")


def read_gif(content: mmap) -> Contents:
    """Return the header and the first frame. Raises DamagedImage for too many blocks, or without a frame."""
    walk = GifWalk(content)
    header: Part = (0, walk.position)
    try:
        control = walk.skip_to_image()
    except IndexError:
        raise DamagedImage from None
    start = walk.position
    try:
        walk.skip_image()
    except IndexError:  # the end is missing: the decoder decides whether pixels are, too
        return Contents([header, control, (start, len(content)), bytes([0, _TRAILER])])
    frame: Part = (start, walk.position)
    warnings = (FIRST_FRAME_ONLY,) if _has_more(walk) else ()
    return Contents([header, control, frame, bytes([_TRAILER])], warnings=warnings)


def _has_more(walk: GifWalk) -> bool:
    try:
        walk.skip_to_image()
        return walk.is_at_image()
    except (IndexError, DamagedImage):
        return False


def _table_bytes(flags: bytes) -> int:
    """Return the length of the colour table that a header's packed flags announce."""
    return 3 << ((flags[0] & 7) + 1) if flags and flags[0] & 0x80 else 0
