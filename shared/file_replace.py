"""Puts a finished file in another's place, past those who look into either. Standard library only."""

import sys
import time
from pathlib import Path

PATIENCE_S = 1.0
PAUSE_S = 0.05


def replace(part: Path, target: Path) -> None:
    """Rename `part` to `target` in one step. Raises OSError.

    On Windows that fails while a virus scanner or an indexer has one of them open, a moment for new files.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            part.replace(target)
        except PermissionError:
            if sys.platform != "win32" or time.monotonic() > deadline:
                raise
            time.sleep(PAUSE_S)
        else:
            return
