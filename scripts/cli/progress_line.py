"""Shows on standard error how far the work is."""

from __future__ import annotations

import collections
import re
import shutil
import sys
import threading
import time

BAR_CELLS = 24
RECENT = 32  # photos that the rate is taken over: the first one, which waits for the model, drops out
LINE_S = 10  # between two lines of a batch where nothing can be drawn over
CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")  # all but the end of a line


class Progress:
    """On a terminal one line that is drawn over; elsewhere a line each time the message changes."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self.terminal = sys.stderr.isatty()
        self._message = ""
        self._lock = threading.Lock()

    def show(self, percent: float, message: str) -> None:
        """Draw this state over the one before."""
        if self._quiet:
            return
        message = shown(message)
        with self._lock:
            if self.terminal:
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
        with self._lock:
            if self.terminal and self._message and not self._quiet:
                room = shutil.get_terminal_size().columns - 1
                print(f"\r{'':<{room}}\r", end="", file=sys.stderr, flush=True)
                self._message = ""


def shown(text: str) -> str:
    """Return the text with a ? for what would command the terminal, as a part of a photo's name may."""
    return CONTROLS.sub("?", text)


class BatchProgress:
    """How many of the photos are through, how fast they go, and how long the rest will take."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._total = total
        self._through = 0
        now = time.monotonic()
        self._times = collections.deque([now], maxlen=RECENT)
        self._told_at = now

    def preparing(self, _percent: float, message: str) -> None:
        """Show what the first photo waits for, such as the model's download."""
        if not self._through and self._progress.terminal:
            self._progress.show(0, f"0 of {self._total}, {message}")

    def advance(self) -> None:
        """Count one photo more."""
        self._through += 1
        now = time.monotonic()
        self._times.append(now)
        if self._progress.terminal or now - self._told_at >= LINE_S:
            self._told_at = now
            counted = f"{self._through} of {self._total}"
            said = pace(len(self._times) - 1, now - self._times[0], self._total - self._through)
            self._progress.show(100 * self._through / self._total, f"{counted}, {said}")


def pace(photos: int, seconds: float, left: int) -> str:
    """Say the rate of so many photos in so many seconds, and how long those that are left will take."""
    each = max(seconds, 0.001) / photos
    rate = f"{1 / each:.1f} photos/s" if each < 1 else f"{each:.1f} s a photo"
    return f"{rate}, {duration(left * each)} left"


def duration(seconds: float) -> str:
    """Write a time as people say it: 45 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
