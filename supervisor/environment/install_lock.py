"""Who may install: one process at a time in a virtual environment, scripts/bootstrap.py included.

What another pip is in the middle of writing looks like what a killed one has left behind.
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
    """Have the lock, unless another process has it; gives whether that is so."""
    file = _opened()
    if file is None:
        yield True
        return
    with file:
        yield file_lock.try_lock(file)


@asynccontextmanager
async def held(on_wait: Callable[[], None]) -> AsyncIterator[None]:
    """Have the lock, waiting for whoever has it."""
    waiting = False
    while True:
        with try_acquire() as mine:
            if mine:
                yield
                return
        if not waiting:
            on_wait()
        waiting = True
        await asyncio.sleep(file_lock.POLL_S)


def _opened() -> IO[bytes] | None:
    """Return the lock's file; None outside of a virtual environment, or where this process may not write."""
    if sys.prefix == sys.base_prefix:
        return None
    try:
        return (Path(sys.prefix) / file_lock.INSTALL_LOCK_NAME).open("a+b")
    except OSError:
        return None
