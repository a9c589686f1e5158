"""Says how far a download has come: bytes, how fast, how long still."""

import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from shared.hub_cache import format_bytes

INTERVAL_S = 0.3
SAMPLES = 17  # the rate is that of the last five seconds, so that a stall shows
MIN_SAMPLES = 3  # a rate over less says nothing
MINUTES_FROM_S = 100

SIGN_OF_LIFE_TICKS = 10

Tell = Callable[[float, str, bool], None]  # percent, message, whether it is a passing one


class Meter:
    """Counts bytes; as a context, tells of them some times a second, even while none arrive."""

    def __init__(self, tell: Tell) -> None:
        self.total = 0  # bytes of the whole model
        self.here = 0  # bytes of it that are on this machine
        self._tell = tell
        self._said = ""
        self._live: Callable[[], str] | None = None
        self._samples: deque[tuple[float, int]] = deque(maxlen=SAMPLES)
        self._checked = self._to_check = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="meter", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def say(self, message: str) -> None:
        """Tell this now, and nothing else until there is something else to tell."""
        self._live = None
        self._said = message
        self._tell(self._percent(), message, False)  # noqa: FBT003  # the event's own order

    def receive(self) -> None:
        """Tell of the bytes that arrive; the rate is this connection's."""
        self._samples = deque(maxlen=SAMPLES)  # a new one: the other thread may be looking at the old one
        self._live = self._bytes_and_rate

    def check(self, size: int) -> None:
        """Tell of the bytes of one file that are being checked."""
        self._checked, self._to_check = 0, size
        self.say("Checking")
        self._live = lambda: f"Checking, {format_bytes(self._checked)} of {format_bytes(self._to_check)}"

    def checked(self, count: int) -> None:
        """Count bytes that were read."""
        self._checked += count

    def _tick(self) -> None:
        ticks = 0
        while not self._ended.wait(INTERVAL_S):
            ticks += 1
            live = self._live
            if live is not None or ticks % SIGN_OF_LIFE_TICKS == 0:
                self._tell(self._percent(), live() if live else self._said, True)  # noqa: FBT003

    def _percent(self) -> float:
        return 100 * self.here / self.total if self.total else 0.0

    def _bytes_and_rate(self) -> str:
        here, now, samples = self.here, time.monotonic(), self._samples
        samples.append((now, here))
        said = f"{format_bytes(here)} of {format_bytes(self.total)}"
        begin, then = samples[0]
        if len(samples) < MIN_SAMPLES or here <= then:
            return said
        rate = (here - then) / (now - begin)
        return f"{said}, {format_bytes(rate)}/s, {_duration((self.total - here) / rate)} left"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < MINUTES_FROM_S else f"{seconds / 60:.0f} min"
