"""Thread-safe event sender from the worker to the supervisor."""

import threading
from multiprocessing.queues import SimpleQueue

from shared.messages import Event


class EventSender:
    """Serialises `put` on an event queue: on Windows, SimpleQueue loses events put by concurrent threads."""

    def __init__(self, queue: "SimpleQueue[Event]") -> None:
        self._queue = queue
        self._lock = threading.Lock()  # SimpleQueue has no write lock on Windows (python/cpython#130733)

    def put(self, event: Event) -> None:
        """Send an event."""
        with self._lock:
            self._queue.put(event)
