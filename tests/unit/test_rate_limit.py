"""The rate limit in megapixels: a sliding window for each client."""

import time

import pytest

from supervisor.api.rate_limit import RateLimiter, RateLimitExceeded


class Clock:
    """A clock that the tests turn."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now_s)
        monkeypatch.setattr(time, "time", lambda: self.now_s + 1_000_000)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that stands."""
    return Clock(monkeypatch)


def remaining(limiter: RateLimiter, client: str) -> int:
    """Return the megapixels that a client has left."""
    return int(limiter.make_headers(client)["X-RateLimit-Remaining"])


@pytest.mark.parametrize(("pixels", "megapixels"), [(1, 1), (1_000_000, 1), (1_000_001, 2), (24_000_000, 24)])
@pytest.mark.usefixtures("clock")
def test_a_photo_counts_as_its_megapixels_rounded_up(pixels: int, megapixels: int) -> None:
    """As documented by remove.bg."""
    limiter = RateLimiter(100)
    limiter.count("a", pixels)
    assert remaining(limiter, "a") == 100 - megapixels
    assert remaining(limiter, "b") == 100


def test_a_client_is_refused_until_enough_photos_are_a_minute_old(clock: Clock) -> None:
    """The headers say when; other clients are served."""
    limiter = RateLimiter(10)
    for megapixels in (3, 12):
        limiter.check("a")
        limiter.count("a", megapixels * 1_000_000)
        clock.now_s += 20
    with pytest.raises(RateLimitExceeded) as refused:
        limiter.check("a")
    assert refused.value.headers == {
        "X-RateLimit-Limit": "10",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(1_001_080),
        "Retry-After": "40",
    }
    limiter.check("b")
    clock.now_s += 39
    with pytest.raises(RateLimitExceeded, match="retry in 1 s"):
        limiter.check("a")
    clock.now_s += 1
    limiter.check("a")
    assert remaining(limiter, "a") == 10


@pytest.mark.usefixtures("clock")
def test_without_a_limit_the_headers_have_the_documented_one() -> None:
    """Clients that read them slow down as with remove.bg, and are not refused if they do not."""
    limiter = RateLimiter(None)
    assert limiter.make_headers("a")["X-RateLimit-Limit"] == "500"
    limiter.count("a", 501_000_000)
    limiter.check("a")
    assert remaining(limiter, "a") == 0


def test_idle_clients_are_forgotten(clock: Clock) -> None:
    """Else each address that ever called would take memory."""
    limiter = RateLimiter(None)
    for number in range(1000):
        limiter.count(f"client {number}", 1)
        clock.now_s += 1
    assert len(limiter._windows) <= 60
