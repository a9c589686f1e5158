"""Rate limit: megapixels of a client's photos within the last minute (sliding window log)."""

import math
import time
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.errors import BgremoveError

WINDOW_S = 60.0
NOMINAL_LIMIT_MP = 500  # the limit that remove.bg documents, for headers where none is set
HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")


class RateLimitExceeded(BgremoveError, code="rate_limit_exceeded", status=429):
    """A client's photos of the last minute have reached its limit; `headers` say when to retry."""

    default_detail = "The rate limit is exceeded: retry after the seconds in the header Retry-After."

    def __init__(self, detail: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.headers = headers or {}


@dataclass(slots=True)
class _Window:
    """One client's photos of the last minute: when each was counted, and its megapixels."""

    photos: deque[tuple[float, int]] = field(default_factory=deque)
    used_mp: int = 0


class RateLimiter:
    """Counts the megapixels of each client's photos, and refuses clients that have reached `limit_mp`.

    A photo is counted after its removal, as its size is unknown before: photos that a client sends together
    may exceed the limit once. Without a limit nobody is refused.
    """

    def __init__(self, limit_mp: int | None) -> None:
        self._limit_mp = limit_mp
        self._windows: OrderedDict[str, _Window] = OrderedDict()  # the last counted one last

    def check(self, client: str) -> None:
        """Raise RateLimitExceeded for a client that has reached the limit."""
        limit_mp, window = self._limit_mp, self._window(client)
        if limit_mp is None or window.used_mp < limit_mp:
            return
        used_mp, now_s = window.used_mp, time.monotonic()
        for counted_at_s, megapixels in window.photos:
            used_mp -= megapixels
            if used_mp < limit_mp:
                retry_s = max(1, math.ceil(counted_at_s + WINDOW_S - now_s))
                raise RateLimitExceeded(
                    f"The rate limit of {limit_mp} megapixels a minute is reached: retry in {retry_s} s.",
                    {**self.make_headers(client), "Retry-After": str(retry_s)},
                )

    def count(self, client: str, pixels: int) -> None:
        """Count a photo of that many pixels, its megapixels rounded up."""
        megapixels = max(1, math.ceil(pixels / 1_000_000))
        window = self._window(client)
        window.photos.append((time.monotonic(), megapixels))
        window.used_mp += megapixels
        self._windows[client] = window
        self._windows.move_to_end(client)

    def make_headers(self, client: str) -> dict[str, str]:
        """Return the limit, what remains of it, and when all of it will be free again, in Unix seconds."""
        window = self._window(client)
        limit_mp = self._limit_mp or NOMINAL_LIMIT_MP
        reset_s = window.photos[-1][0] + WINDOW_S - time.monotonic() if window.photos else 0.0
        values = (limit_mp, max(0, limit_mp - window.used_mp), math.ceil(time.time() + reset_s))
        return dict(zip(HEADERS, map(str, values), strict=True))

    def _window(self, client: str) -> _Window:
        """Return a client's window without the photos that have left it; forget idle clients."""
        oldest_s = time.monotonic() - WINDOW_S
        while self._windows and next(iter(self._windows.values())).photos[-1][0] <= oldest_s:
            self._windows.popitem(last=False)
        window = self._windows.get(client) or _Window()
        while window.photos and window.photos[0][0] <= oldest_s:
            window.used_mp -= window.photos.popleft()[1]
        return window
