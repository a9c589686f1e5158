"""Path.replace() with retries for Windows sharing violations. Standard library only."""

import sys
import time
from pathlib import Path

RETRY_TIMEOUT_S = 1.0
RETRY_DELAY_S = 0.05


def replace_with_retry(part: Path, target: Path) -> None:
    """Rename `part` to `target` atomically. Raises OSError.

    On Windows a rename fails while a virus scanner or an indexer has either file open, as they do new ones.
    """
    deadline = time.monotonic() + RETRY_TIMEOUT_S
    while True:
        try:
            part.replace(target)
        except PermissionError:
            if sys.platform != "win32" or time.monotonic() > deadline:
                raise
            time.sleep(RETRY_DELAY_S)
        else:
            return
