"""A lock between processes, on a file, for Linux, macOS and Windows. Standard library only."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import IO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

from collections.abc import Callable, Iterator
from pathlib import Path

POLL_SECONDS = 0.2


@contextlib.contextmanager
def held(path: Path, on_wait: Callable[[], None]) -> Iterator[int]:
    """Hold the lock, waiting for whoever has it; gives the file's descriptor. It ends with the process."""
    with path.open("a+b") as file:
        if not _try(file):
            on_wait()
            while not _try(file):
                time.sleep(POLL_SECONDS)
        yield file.fileno()


def _try(file: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # flock's and msvcrt's words for 'somebody has it'
        return False
    return True
