"""A few threads that work through what they are given, and can be left behind.

concurrent.futures waits at the program's end for each thread; one that waits for a silent server would keep
Ctrl-C from ending anything.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

POLL_S = 0.1  # how late Ctrl-C is noticed on Windows while waiting
LEAVING_S = 3

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class DaemonThreadPool(Generic[Item, Outcome]):
    """`size` threads that call `work` on what is handed in. What it raises comes out of the outcomes."""

    def __init__(self, size: int, work: Callable[[Item], Outcome]) -> None:
        self._work = work
        self._todo: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[Item, Outcome | Exception]] = queue.SimpleQueue()
        self._open = 0
        self._leaving = threading.Event()
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(size)]
        for thread in self._threads:
            thread.start()

    def hand_in(self, item: Item) -> None:
        """Queue one piece of work."""
        self._open += 1
        self._todo.put(item)

    def outcomes(self) -> Iterator[tuple[Item, Outcome]]:
        """Give what was handed in with what came of it, as it gets done, up to the last."""
        while self._open:
            with contextlib.suppress(queue.Empty):
                yield self._taken(POLL_S)

    def outcomes_now(self) -> Iterator[tuple[Item, Outcome]]:
        """Give what is done already."""
        with contextlib.suppress(queue.Empty):
            while True:
                yield self._taken(0)

    def leave(self) -> None:
        """Begin nothing more, and wait a moment for what is on its way."""
        self._leaving.set()
        for _ in self._threads:
            self._todo.put(None)
        deadline = time.monotonic() + LEAVING_S
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))

    def _taken(self, timeout_s: float) -> tuple[Item, Outcome]:
        item, outcome = self._done.get(block=timeout_s > 0, timeout=timeout_s)
        self._open -= 1
        if isinstance(outcome, Exception):
            raise outcome
        return item, outcome

    def _serve(self) -> None:
        while (item := self._todo.get()) is not None and not self._leaving.is_set():
            try:
                outcome: Outcome | Exception = self._work(item)
            except Exception as error:  # noqa: BLE001 - the main thread raises it; here it would be lost
                outcome = error
            self._done.put((item, outcome))
