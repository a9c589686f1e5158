"""Load generators: one client, several concurrent clients, and health checks under load."""

import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx2

from benches.clients import POLL_S, Bgremove, Client, Rembg, Removal
from benches.photos import Photo

HEALTH_INTERVAL_S = 0.02
HEALTH_TIMEOUT_S = 30.0
NOT_STAGES = {"queued", "total"}  # timings that are no stage of a worker


@dataclass(frozen=True, slots=True)
class Target:
    """One of the servers compared; `connect` makes a client, given the number of concurrent ones."""

    name: str
    connect: Callable[[int], Client]


def bgremove_target(url: str, options: Mapping[str, str], *, by_stream: bool) -> Target:
    """Return our server at `url`, with these removal options."""
    # The total polling rate is constant: on few cores, polling takes time from removals.
    return Target("bgremove", lambda clients: Bgremove(url, None if by_stream else POLL_S * clients, options))


def make_targets(
    url: str, against: str | None, options: Mapping[str, str], *, by_stream: bool
) -> list[Target]:
    """Return our server at `url` and, if `against` is given, rembg's server there."""
    first = bgremove_target(url, options, by_stream=by_stream)
    return [first] if against is None else [first, Target("rembg", lambda _: Rembg(against))]


@dataclass(slots=True)
class Measurements:
    """All measurements of one target with one photo; throughput by the number of clients."""

    removals: list[Removal] = field(default_factory=list)
    images_per_s: dict[int, list[float]] = field(default_factory=dict)
    # Processor time per image, of our server only; the supervisor's is measured without polling.
    cpu_ms: list[float] = field(default_factory=list)
    supervisor_ms: float = 0

    @property
    def latency_ms(self) -> float:
        """The median latency with one client."""
        return statistics.median(one.latency_ms for one in self.removals)

    @property
    def throughput(self) -> dict[int, float]:
        """The median over the rounds of each number of clients, in images per second."""
        return {clients: statistics.median(rates) for clients, rates in self.images_per_s.items()}

    @property
    def around_network_ms(self) -> float:
        """The median latency without inference, with one client."""
        return statistics.median(one.latency_ms - one.timings_ms["inference"] for one in self.removals)

    def stages_ms(self) -> dict[str, float]:
        """Return each stage's median with one client, and the median of the remaining latency."""
        names = [name for name in self.removals[0].timings_ms if name not in NOT_STAGES]
        if not names:
            return {}
        stages = {name: statistics.median(one.timings_ms[name] for one in self.removals) for name in names}
        rest = [one.latency_ms - sum(one.timings_ms[name] for name in names) for one in self.removals]
        queued = statistics.median(one.timings_ms["queued"] for one in self.removals)
        return {"queued": queued, **stages, "http and queue": statistics.median(rest)}


def run_one_client(target: Target, photo: Photo) -> Removal:
    """Run one removal on an otherwise idle server."""
    with target.connect(1) as client:
        return client.remove(photo)


def run_clients(target: Target, photo: Photo, clients: int, images: int) -> float:
    """Run `images` removals by that many concurrent clients and return the images per second."""
    todo = iter(range(images))
    lock = threading.Lock()
    stop = threading.Event()

    def work() -> None:
        with target.connect(clients) as client:
            while not stop.is_set():
                with lock:
                    if next(todo, None) is None:
                        return
                client.remove(photo)

    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        workers = [pool.submit(work) for _ in range(clients)]
        try:
            for worker in workers:
                worker.result()
        finally:
            stop.set()  # after one client's failure, or Ctrl-C, the others end after their current image
    return images / (time.perf_counter() - start)


@contextmanager
def poll_health(url: str) -> Iterator[list[float]]:
    """Request the server's health repeatedly during the block; yields the latencies in milliseconds."""
    latencies: list[float] = []
    stop = threading.Event()

    def poll() -> None:
        with httpx2.Client(trust_env=False, timeout=HEALTH_TIMEOUT_S) as http:
            while not stop.wait(HEALTH_INTERVAL_S):
                start = time.perf_counter()
                http.get(f"{url}/api/v1/health").raise_for_status()
                latencies.append((time.perf_counter() - start) * 1000)

    with ThreadPoolExecutor(1) as pool:
        poller = pool.submit(poll)
        try:
            yield latencies
        finally:
            stop.set()
        poller.result()
