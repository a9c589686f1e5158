"""Thread pool of daemon threads, which are not joined at interpreter exit.

concurrent.futures joins its threads at exit; one that waits for a silent server would block Ctrl-C.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

POLL_S = 0.1  # on Windows a blocking wait delays Ctrl-C
SHUTDOWN_TIMEOUT_S = 3

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class DaemonThreadPool(Generic[Item, Outcome]):
    """`size` threads that call `work` on submitted items. The iterators raise the exceptions of `work`."""

    def __init__(self, size: int, work: Callable[[Item], Outcome]) -> None:
        self._work = work
        self._items: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[tuple[Item, Outcome | Exception]] = queue.SimpleQueue()
        self._pending = 0
        self._shutdown = threading.Event()
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(size)]
        for thread in self._threads:
            thread.start()

    def submit(self, item: Item) -> None:
        """Queue an item."""
        self._pending += 1
        self._items.put(item)

    def as_completed(self) -> Iterator[tuple[Item, Outcome]]:
        """Yield each item with its outcome as it completes, until none is pending."""
        while self._pending:
            with contextlib.suppress(queue.Empty):
                yield self._next_outcome(POLL_S)

    def completed(self) -> Iterator[tuple[Item, Outcome]]:
        """Yield the items that have completed by now, without waiting."""
        with contextlib.suppress(queue.Empty):
            while True:
                yield self._next_outcome(0)

    def shutdown(self) -> None:
        """Start no further item, and wait up to SHUTDOWN_TIMEOUT_S for the running ones."""
        self._shutdown.set()
        for _ in self._threads:
            self._items.put(None)
        deadline = time.monotonic() + SHUTDOWN_TIMEOUT_S
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))

    def _next_outcome(self, timeout_s: float) -> tuple[Item, Outcome]:
        item, outcome = self._outcomes.get(block=timeout_s > 0, timeout=timeout_s)
        self._pending -= 1
        if isinstance(outcome, Exception):
            raise outcome
        return item, outcome

    def _serve(self) -> None:
        while (item := self._items.get()) is not None and not self._shutdown.is_set():
            try:
                outcome: Outcome | Exception = self._work(item)
            except Exception as error:  # noqa: BLE001 - raised again in the main thread
                outcome = error
            self._outcomes.put((item, outcome))
