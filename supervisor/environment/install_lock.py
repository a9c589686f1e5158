"""Install lock: one process at a time installs into a virtual environment, scripts/bootstrap.py included.

Without it, the clean-up after a killed pip would delete packages that another pip is writing.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO

from shared import file_lock


@contextmanager
def try_acquire() -> Iterator[bool]:
    """Acquire the lock without waiting; yields whether it was free."""
    file = _open()
    if file is None:
        yield True
        return
    with file:
        yield file_lock.try_lock(file)


@asynccontextmanager
async def acquire(on_wait: Callable[[], None]) -> AsyncIterator[None]:
    """Acquire the lock; calls `on_wait` once if another process holds it."""
    waiting = False
    while True:
        with try_acquire() as acquired:
            if acquired:
                yield
                return
        if not waiting:
            on_wait()
        waiting = True
        await asyncio.sleep(file_lock.POLL_S)


def _open() -> IO[bytes] | None:
    """Open the lock file; None outside of a virtual environment, or if it is not writable."""
    if sys.prefix == sys.base_prefix:
        return None
    try:
        return (Path(sys.prefix) / file_lock.INSTALL_LOCK_NAME).open("a+b")
    except OSError:
        return None
