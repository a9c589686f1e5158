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
    end of the five minutes, lets another process start. Deaths that a job causes count for the back-off only.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._deaths: deque[float] = deque(maxlen=len(BACKOFF_S))  # since the last success
        self._load_deaths: deque[float] = deque(maxlen=CIRCUIT_DEATHS)
        self._job_deaths: deque[float] = deque(maxlen=CIRCUIT_DEATHS)
        self._not_before = 0.0

    def record_load_death(self) -> None:
        """Count a death without jobs, which nobody requested."""
        self._load_deaths.append(self._record())

    def record_job_death(self, *, alone: bool) -> None:
        """Count a death while jobs ran. One that ran `alone`, as a retry, caused this death and its first."""
        now_s = self._record()
        if not alone:
            self._job_deaths.append(now_s)
        elif self._job_deaths:
            self._job_deaths.pop()

    def record_spawn_failure(self) -> None:
        """Delay the next start. A process that was never spawned does not count as a death."""
        self._not_before = self._clock() + SPAWN_RETRY_S

    def reset(self) -> None:
        """Clear the count: a job succeeded, or a start was requested."""
        for deaths in (self._deaths, self._load_deaths, self._job_deaths):
            deaths.clear()

    @property
    def circuit_open(self) -> bool:
        """Whether no process may be started."""
        since_s = self._clock() - CIRCUIT_WINDOW_S
        counted = [death_s for death_s in (*self._load_deaths, *self._job_deaths) if death_s > since_s]
        return len(counted) >= CIRCUIT_DEATHS

    @property
    def wait_s(self) -> float:
        """The back-off before the next start, in seconds."""
        backoff_end = self._deaths[-1] + BACKOFF_S[len(self._deaths) - 1] if self._deaths else 0.0
        return max(0.0, max(backoff_end, self._not_before) - self._clock())

    def _record(self) -> float:
        self._deaths.append(now_s := self._clock())
        return now_s
