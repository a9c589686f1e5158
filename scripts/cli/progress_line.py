"""Progress bar on standard error."""

from __future__ import annotations

import collections
import re
import shutil
import sys
import threading
import time

BAR_CELLS = 24
RECENT = 32  # images that the rate is averaged over; the first one, which waits for the model, drops out
LINE_INTERVAL_S = 10  # between two lines of a batch without a terminal
CONTROL_CHARACTERS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")  # all but the newline


class Progress:
    """One line that is redrawn on a terminal; elsewhere a line each time the message changes."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self.terminal = sys.stderr.isatty()
        self._message = ""
        self._lock = threading.Lock()

    def show(self, percent: float, message: str) -> None:
        """Show this progress in place of the previous one."""
        if self._quiet:
            return
        message = replace_controls(message)
        with self._lock:
            if self.terminal:
                filled = round(BAR_CELLS * min(max(percent, 0), 100) / 100)
                bar = "#" * filled + "-" * (BAR_CELLS - filled)
                # A line of the terminal's full width would wrap, and \r returns to the start of one row only.
                columns = shutil.get_terminal_size().columns - 1
                line = f"[{bar}] {percent:3.0f}%  {message}"[:columns]
                print(f"\r{line:<{columns}}", end="", file=sys.stderr, flush=True)
            elif message != self._message:
                print(f"bgremove: {message}", file=sys.stderr, flush=True)
            self._message = message

    def clear(self) -> None:
        """Erase the terminal's line."""
        with self._lock:
            if self.terminal and self._message and not self._quiet:
                columns = shutil.get_terminal_size().columns - 1
                print(f"\r{'':<{columns}}\r", end="", file=sys.stderr, flush=True)
                self._message = ""


def replace_controls(text: str) -> str:
    """Replace control characters, which file names may contain, by ? (terminal escape injection)."""
    return CONTROL_CHARACTERS.sub("?", text)


class BatchProgress:
    """Progress of a batch: images completed, rate, remaining time."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._total = total
        self._completed = 0
        now = time.monotonic()
        self._times = collections.deque([now], maxlen=RECENT)
        self._shown_at = now

    def show_preparation(self, _percent: float, message: str) -> None:
        """Show what the first image waits for, such as the model's download."""
        if not self._completed and self._progress.terminal:
            self._progress.show(0, f"0 of {self._total}, {message}")

    def advance(self) -> None:
        """Count one completed image."""
        self._completed += 1
        now = time.monotonic()
        self._times.append(now)
        if self._progress.terminal or now - self._shown_at >= LINE_INTERVAL_S:
            self._shown_at = now
            pace = format_pace(len(self._times) - 1, now - self._times[0], self._total - self._completed)
            message = f"{self._completed} of {self._total}, {pace}"
            self._progress.show(100 * self._completed / self._total, message)


def format_pace(images: int, seconds: float, remaining: int) -> str:
    """Format the rate of `images` in `seconds` and the time that the remaining ones need."""
    each = max(seconds, 0.001) / images
    rate = f"{1 / each:.1f} images/s" if each < 1 else f"{each:.1f} s per image"
    return f"{rate}, {format_duration(remaining * each)} left"


def format_duration(seconds: float) -> str:
    """Format a time: 45 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
