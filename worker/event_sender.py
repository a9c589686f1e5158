"""Where all threads of a worker put what the supervisor is to hear."""

import threading
from multiprocessing.queues import SimpleQueue

from shared.messages import Event


class EventSender:
    """A queue's end for several threads: on Windows, the queue itself loses an event put beside another."""

    def __init__(self, queue: "SimpleQueue[Event]") -> None:
        self._queue = queue
        self._lock = threading.Lock()  # there, SimpleQueue has none (python/cpython#130733)

    def put(self, event: Event) -> None:
        """Send an event, after those that other threads are sending."""
        with self._lock:
            self._queue.put(event)
