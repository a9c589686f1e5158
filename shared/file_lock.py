"""A lock between processes, on a file, for Linux, macOS and Windows. Standard library only.

Like the scripts that use it, this file has to parse on Python 3.8.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

POLL_S = 0.2
INSTALLS = "bgremove.lock"  # in a virtual environment: held by whoever installs into it


@contextlib.contextmanager
def held(path: Path, on_wait: Callable[[], None]) -> Iterator[int]:
    """Hold the lock, waiting for whoever has it; gives the file's descriptor. It ends with the process."""
    with path.open("a+b") as file:
        if not taken(file):
            on_wait()
            while not taken(file):
                time.sleep(POLL_S)
        yield file.fileno()


def taken(file: IO[bytes]) -> bool:
    """Take the lock if nobody has it; it lasts as long as the file is open."""
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415  # each system has but one of the two

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # noqa: PLC0415

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # flock's and msvcrt's words for 'somebody has it'
        return False
    return True
