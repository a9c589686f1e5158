"""Timeouts on the event loop that do not count the time that a computer sleeps."""

import asyncio
from collections.abc import Callable

SLICES = 10


class Deadline:
    """Calls `on_timeout` after `timeout_s`, unless it is cancelled before. Lives on the event loop.

    On Windows the clock of timers includes the time of a suspend, after which every child would have timed
    out. So the time is counted in slices, of which a suspend can consume one at most.
    """

    def __init__(self, timeout_s: float, on_timeout: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_timeout = on_timeout
        self._slice_s = timeout_s / SLICES
        self._slices_left = SLICES
        self._timer = self._loop.call_later(self._slice_s, self._count)

    def cancel(self) -> None:
        """Cancel the timeout."""
        self._timer.cancel()

    def _count(self) -> None:
        self._slices_left -= 1
        if self._slices_left:
            self._timer = self._loop.call_later(self._slice_s, self._count)
        else:
            self._on_timeout()
