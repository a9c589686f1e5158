"""The memory gate: admission control, so that concurrent jobs together stay within the available memory."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from shared.errors import OutOfMemory
from worker.available_memory import measure_available_bytes

POLL_S = 0.1
# How long a job that does not fit although no other runs waits for the memory of other processes.
PATIENCE_S = 2.0
# What all jobs but the largest may need together. Large ones share the memory's bandwidth, and gain nothing
# from running together.
LARGE_JOB_BYTES = 400_000_000
_MB = 1_000_000


class MemoryGate:
    """Admits jobs in the order of their arrival: one large job at a time, others while their needs fit in.

    `measure` returns the available memory in bytes, None if it is unknown: then any need fits in.
    """

    def __init__(self, measure: Callable[[], int | None] = measure_available_bytes) -> None:
        self._measure = measure
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()
        self._reserved: dict[object, int] = {}

    @contextmanager
    def admit(self, need_bytes: int, check_cancelled: Callable[[], None]) -> Iterator[None]:
        """Reserve memory for the length of a block; waits until it fits.

        Raises OutOfMemory for a job that does not fit alone, and whatever `check_cancelled` raises meanwhile.
        """
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            try:
                self._wait(ticket, need_bytes, check_cancelled)
                self._reserved[ticket] = need_bytes
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                del self._reserved[ticket]
                self._changed.notify_all()

    def _wait(self, ticket: object, need_bytes: int, check_cancelled: Callable[[], None]) -> None:
        alone_since_s: float | None = None
        while True:
            check_cancelled()
            if self._waiting[0] is ticket:
                available_bytes = self._measure()
                # What the running jobs have taken already is counted twice: that only makes some wait.
                needs = [need_bytes, *self._reserved.values()]
                fits = available_bytes is None or sum(needs) <= available_bytes
                if fits and sum(needs) - max(needs) <= LARGE_JOB_BYTES:
                    return
                now_s = time.monotonic()
                alone_since_s = None if self._reserved else alone_since_s or now_s
                if (
                    available_bytes is not None
                    and alone_since_s is not None
                    and now_s - alone_since_s >= PATIENCE_S
                ):
                    raise OutOfMemory(_explain(need_bytes, available_bytes))
            self._changed.wait(POLL_S)


def _explain(need_bytes: int, available_bytes: int) -> str:
    return (
        f"This image needs about {need_bytes / _MB:,.0f} MB of memory, and {available_bytes / _MB:,.0f} MB "
        "are available: send a smaller one, lower BGREMOVE_MAX_PIXELS, or give the service more memory."
    )
