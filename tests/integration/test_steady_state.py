"""What a service that runs for months must not do: grow."""

from concurrent.futures import ThreadPoolExecutor
from copy import copy

import httpx2
import psutil
import pytest

from tests.photos import wish
from tests.service import Service, shape

GROWTH_BYTES = 12 * 1024**2
CROWD = 24


def use(service: Service, times: int, at_once: int) -> None:
    """Have small photos cut out."""
    with ThreadPoolExecutor(at_once) as pool:
        for cutting in [pool.submit(service.cut, wish(f"photo {n} " + "x" * 100_000)) for n in range(times)]:
            cutting.result()


def fill_pools(service: Service) -> None:
    """Be so many at once that the supervisor's pools have all the threads that a few clients can need.

    A pool grows when a request finds no idle thread: by chance, on a busy machine long after the start.
    """
    crowd = copy(service)
    with httpx2.Client(base_url=service.client.base_url, timeout=60, trust_env=False) as crowd.client:
        use(crowd, times=4 * CROWD, at_once=CROWD)


@pytest.mark.slow
def test_two_hundred_uploads_leave_the_supervisor_as_it_was(fake: Service) -> None:
    """A leak of one descriptor or thread a request ends a service within days."""
    fill_pools(fake)
    use(fake, times=20, at_once=4)
    before, before_bytes = shape(fake), psutil.Process(fake.process.pid).memory_info().rss
    use(fake, times=200, at_once=4)
    after, after_bytes = shape(fake), psutil.Process(fake.process.pid).memory_info().rss
    assert all(now <= then + 2 for now, then in zip(after, before, strict=True)), (before, after)
    assert after_bytes - before_bytes < GROWTH_BYTES
