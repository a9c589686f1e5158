"""Restart policy of a worker that dies: back-off, and a circuit breaker."""

import time
from collections import deque
from collections.abc import Callable

BACKOFF_S = (0.0, 1.0, 2.0, 5.0, 10.0)  # before the next start, by deaths without a success between them
CIRCUIT_DEATHS = 5
CIRCUIT_WINDOW_S = 300.0
SPAWN_RETRY_S = 1.0  # before the next start, when the supervisor lacked descriptors, threads or processes


class RestartPolicy:
    """Counts deaths. After five in five minutes the circuit opens: only an explicit load or restart, or the
    end of the five minutes, lets another process start."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._deaths: deque[float] = deque(maxlen=CIRCUIT_DEATHS)
        self._not_before = 0.0

    def record_death(self) -> None:
        """Count a death that nobody requested."""
        self._deaths.append(self._clock())

    def record_spawn_failure(self) -> None:
        """Delay the next start. A process that was never spawned does not count as a death."""
        self._not_before = self._clock() + SPAWN_RETRY_S

    def reset(self) -> None:
        """Clear the count: a job succeeded, or a start was requested."""
        self._deaths.clear()

    @property
    def circuit_open(self) -> bool:
        """Whether no process may be started."""
        return len(self._deaths) == CIRCUIT_DEATHS and self._clock() - self._deaths[0] < CIRCUIT_WINDOW_S

    @property
    def wait_s(self) -> float:
        """The back-off before the next start, in seconds."""
        backoff_end = self._deaths[-1] + BACKOFF_S[len(self._deaths) - 1] if self._deaths else 0.0
        return max(0.0, max(backoff_end, self._not_before) - self._clock())
