"""Download progress: bytes, rate and ETA, reported at intervals by a thread of its own."""

import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from shared.hub_cache import format_bytes

INTERVAL_S = 0.3
RATE_SAMPLES = 17  # the rate is the mean of the last five seconds, so that a stall shows
MIN_RATE_SAMPLES = 3
MINUTES_FROM_S = 100

HEARTBEAT_TICKS = 10

ReportFn = Callable[[float, str, bool], None]  # percent, message, whether the message is transient


class DownloadProgress:
    """Counts bytes. As a context manager, it reports several times per second, also during a stall."""

    def __init__(self, report: ReportFn) -> None:
        self.total_bytes = 0  # of the whole model
        self.present_bytes = 0  # of the model, on this machine
        self._report = report
        self._message = ""
        self._live_message: Callable[[], str] | None = None
        self._samples: deque[tuple[float, int]] = deque(maxlen=RATE_SAMPLES)
        self._verified_bytes = self._file_bytes = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def set_message(self, message: str) -> None:
        """Report a message now, and repeat it as a heartbeat until another one replaces it."""
        self._live_message = None
        self._message = message
        self._report(self._percent(), message, False)  # noqa: FBT003  # the event's own order

    def start_transfer(self) -> None:
        """Report bytes, rate and ETA of the current connection from now on."""
        # A new deque: the other thread may be reading the old one.
        self._samples = deque(maxlen=RATE_SAMPLES)
        self._live_message = self._format_transfer

    def start_verification(self, size_bytes: int) -> None:
        """Report the verified bytes of one file from now on."""
        self._verified_bytes, self._file_bytes = 0, size_bytes
        self.set_message("Checking")
        self._live_message = lambda: (
            f"Checking, {format_bytes(self._verified_bytes)} of {format_bytes(self._file_bytes)}"
        )

    def add_verified(self, count_bytes: int) -> None:
        """Count bytes that were verified."""
        self._verified_bytes += count_bytes

    def _run(self) -> None:
        ticks = 0
        while not self._stopped.wait(INTERVAL_S):
            ticks += 1
            live = self._live_message
            if live is not None or ticks % HEARTBEAT_TICKS == 0:
                self._report(self._percent(), live() if live else self._message, True)  # noqa: FBT003

    def _percent(self) -> float:
        return 100 * self.present_bytes / self.total_bytes if self.total_bytes else 0.0

    def _format_transfer(self) -> str:
        present, now, samples = self.present_bytes, time.monotonic(), self._samples
        samples.append((now, present))
        message = f"{format_bytes(present)} of {format_bytes(self.total_bytes)}"
        begin, earlier = samples[0]
        if len(samples) < MIN_RATE_SAMPLES or present <= earlier:
            return message
        rate = (present - earlier) / (now - begin)
        eta = _format_duration((self.total_bytes - present) / rate)
        return f"{message}, {format_bytes(rate)}/s, {eta} left"


def _format_duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < MINUTES_FROM_S else f"{seconds / 60:.0f} min"
