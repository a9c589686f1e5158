"""Deadlines that a laptop's sleep does not count against."""

import asyncio
from collections.abc import Callable

PARTS = 10


class Deadline:
    """Calls `passed` after `timeout_s`, unless it is cancelled before. Lives on the event loop.

    On Windows the clock of timers runs on while the machine sleeps: at its waking every child would be late.
    So the time is counted in parts, of which a sleep takes one at most.
    """

    def __init__(self, timeout_s: float, passed: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._passed = passed
        self._part_s = timeout_s / PARTS
        self._parts_left = PARTS
        self._timer = self._loop.call_later(self._part_s, self._count)

    def cancel(self) -> None:
        """Let it pass unnoticed."""
        self._timer.cancel()

    def _count(self) -> None:
        self._parts_left -= 1
        if self._parts_left:
            self._timer = self._loop.call_later(self._part_s, self._count)
        else:
            self._passed()
