"""Advisory file lock between processes, for Linux, macOS and Windows. Standard library only.

Has to parse on Python 3.8, as scripts/bootstrap.py imports it.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

POLL_S = 0.2
INSTALL_LOCK_NAME = "bgremove.lock"  # in a virtual environment: held during an install into it


@contextlib.contextmanager
def acquire(path: Path, on_wait: Callable[[], None]) -> Iterator[int]:
    """Hold the lock for the block, waiting while another process has it; yields the file descriptor.

    The system releases the lock when the process ends.
    """
    with path.open("a+b") as file:
        if not try_lock(file):
            on_wait()
            while not try_lock(file):
                time.sleep(POLL_S)
        yield file.fileno()


def try_lock(file: IO[bytes]) -> bool:
    """Lock the file without waiting and return whether that succeeded. Closing the file unlocks it."""
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415  # each system has but one of the two

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # noqa: PLC0415

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # flock's and msvcrt's errors for a lock held elsewhere
        return False
    return True
