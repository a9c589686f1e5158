"""Reads the tail of a child process's log, with paths redacted."""

import contextlib
import re
from pathlib import Path

TAIL_LINES = 20
TAIL_BYTES = 8192
# Quoted, a path may have spaces in it; bare, it ends at one.
QUOTED_FOLDERS = re.compile(r"""(['"])(?:[A-Za-z]:)?[/\\][^'"\n]*[/\\]""")
FOLDERS = re.compile(r"(?<![\w.:/\\])(?:[A-Za-z]:)?[/\\](?:[^\s'\"/\\]+[/\\])+")


def read_tail(path: Path) -> list[str]:
    """Return the last lines of a child's log, for clients: paths are cut to their last part."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - TAIL_BYTES))
            text = log.read().decode(errors="replace")
    except OSError:  # there is no log
        return []
    return [FOLDERS.sub("", QUOTED_FOLDERS.sub(r"\1", line)) for line in text.splitlines()[-TAIL_LINES:]]


def last_line(path: Path) -> str:
    """Return the last line of a child's log, for a sentence to clients."""
    return (read_tail(path) or ["it left no message"])[-1]


def delete(path: Path) -> None:
    """Delete a child's log, if the system allows it: on Windows a virus scanner may have it open."""
    with contextlib.suppress(OSError):
        path.unlink()
