"""Shows on standard error how far the work is."""

from __future__ import annotations

import shutil
import sys

BAR_CELLS = 24


class Progress:
    """On a terminal one line that is drawn over; elsewhere a line each time the message changes."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._terminal = sys.stderr.isatty()
        self._message = ""

    def show(self, percent: float, message: str) -> None:
        """Draw this state over the one before."""
        if self._quiet:
            return
        if self._terminal:
            filled = round(BAR_CELLS * min(max(percent, 0), 100) / 100)
            bar = "#" * filled + "-" * (BAR_CELLS - filled)
            # A line as wide as the terminal would wrap, and then \r goes back only half way.
            room = shutil.get_terminal_size().columns - 1
            line = f"[{bar}] {percent:3.0f}%  {message}"[:room]
            print(f"\r{line:<{room}}", end="", file=sys.stderr, flush=True)
        elif message != self._message:
            print(f"bgremove: {message}", file=sys.stderr, flush=True)
        self._message = message

    def clear(self) -> None:
        """Leave the terminal's line empty for what is said next."""
        if self._terminal and self._message and not self._quiet:
            room = shutil.get_terminal_size().columns - 1
            print(f"\r{'':<{room}}\r", end="", file=sys.stderr, flush=True)
            self._message = ""
