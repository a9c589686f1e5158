"""What a service that runs for months must not do: grow."""

from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from tests.photos import wish
from tests.service import Service, shape

GROWTH_BYTES = 12 * 1024**2


@pytest.mark.slow
def test_two_hundred_uploads_leave_the_supervisor_as_it_was(fake: Service) -> None:
    """A leak of one descriptor or thread a request ends a service within days."""

    def use(number: int) -> None:
        fake.cut(wish(f"photo {number} " + "x" * 100_000))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, range(60)))
    before, before_bytes = shape(fake), psutil.Process(fake.process.pid).memory_info().rss
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, range(200)))
    after, after_bytes = shape(fake), psutil.Process(fake.process.pid).memory_info().rss
    assert all(now <= then + 2 for now, then in zip(after, before, strict=True)), (before, after)
    assert after_bytes - before_bytes < GROWTH_BYTES
