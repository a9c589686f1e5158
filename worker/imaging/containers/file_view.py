"""A read-only view of parts of a file as one file, with a time budget for the decoder that reads it."""

import io
import time
from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from mmap import mmap
from typing import Protocol

from shared.errors import DamagedImage

# Seconds of the decoding thread's CPU time: ten times what the slowest format takes on a slow machine.
BASE_BUDGET_S, BUDGET_PER_MEGAPIXEL_S = 10.0, 2.0

Bytes = mmap | bytes
Part = tuple[int, int] | bytes  # start and end in the file, or bytes to insert


class WritableBuffer(Protocol):
    """What `readinto` fills."""

    def __len__(self) -> int: ...
    def __setitem__(self, index: slice, value: bytes, /) -> None: ...


class FileView(io.RawIOBase):
    """Parts of a file, in memory or mapped, one after the other. Read it through `io.BufferedReader`."""

    def __init__(self, content: Bytes, parts: Iterable[Part]) -> None:
        self._content = content
        self._parts = [part for part in _join_adjacent(parts) if _length(part)]
        self._ends = list(accumulate(map(_length, self._parts)))
        self._size = self._ends[-1] if self._ends else 0
        self._position = 0
        self._deadline_s = time.thread_time() + BASE_BUDGET_S

    def extend_budget(self, pixels: int) -> None:
        """Add the time that decoding this many pixels may take."""
        self._deadline_s += BUDGET_PER_MEGAPIXEL_S * pixels / 1e6

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to an offset, from the start, the current position or the end."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: WritableBuffer, /) -> int:  # type: ignore[override]  # Buffer needs Python 3.12
        """Fill the buffer up to the end of a part. Raises DamagedImage when the time budget is spent."""
        if time.thread_time() > self._deadline_s:
            raise DamagedImage("The image takes far longer to decode than one of its size should.")
        index = bisect_right(self._ends, self._position)
        if index == len(self._ends):
            return 0
        part = self._parts[index]
        offset = self._position - (self._ends[index] - _length(part))
        count = min(len(buffer), _length(part) - offset)
        if isinstance(part, bytes):
            buffer[:count] = part[offset : offset + count]
        else:
            buffer[:count] = self._content[part[0] + offset : part[0] + offset + count]
        self._position += count
        return count


def _length(part: Part) -> int:
    return len(part) if isinstance(part, bytes) else part[1] - part[0]


def _join_adjacent(parts: Iterable[Part]) -> list[Part]:
    joined: list[Part] = []
    for part in parts:
        last = joined[-1] if joined else b""
        if isinstance(part, tuple) and isinstance(last, tuple) and last[1] == part[0]:
            joined[-1] = (last[0], part[1])
        else:
            joined.append(part)
    return joined
