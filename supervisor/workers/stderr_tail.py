"""What a child process said last, which is told with its end."""

import contextlib
import re
from pathlib import Path

TAIL_LINES = 20
TAIL_BYTES = 8192
# Quoted, a path may have spaces in it; bare, it ends at one.
QUOTED_FOLDERS = re.compile(r"""(['"])(?:[A-Za-z]:)?[/\\][^'"\n]*[/\\]""")
FOLDERS = re.compile(r"(?<![\w.:/\\])(?:[A-Za-z]:)?[/\\](?:[^\s'\"/\\]+[/\\])+")


def tail(path: Path) -> list[str]:
    """Return the last lines of a child's log, for clients: of paths, only the last part."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - TAIL_BYTES))
            said = log.read().decode(errors="replace")
    except OSError:  # it left no log
        return []
    return [FOLDERS.sub("", QUOTED_FOLDERS.sub(r"\1", line)) for line in said.splitlines()[-TAIL_LINES:]]


def last_line(path: Path) -> str:
    """Return the last line of a child's log, for a sentence to clients."""
    return (tail(path) or ["it left no message"])[-1]


def drop(path: Path) -> None:
    """Delete a child's log, if the system lets go of it: on Windows a virus scanner may hold it."""
    with contextlib.suppress(OSError):
        path.unlink()
