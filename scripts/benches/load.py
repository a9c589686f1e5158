"""Ways to load a server: one client, several at once, and several while somebody asks for its health."""

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
NO_STEPS = {"queued", "total"}  # timings that are no steps of a worker's


@dataclass(frozen=True, slots=True)
class Side:
    """One of the servers compared; `connect` takes how many clients there are at once."""

    name: str
    connect: Callable[[int], Client]


def ours(url: str, options: Mapping[str, str], *, by_stream: bool) -> Side:
    """Return our server at `url`, asked for removals with these options."""
    # Together, several clients ask no more often than one does: on few cores, asking costs removals.
    return Side("bgremove", lambda clients: Bgremove(url, None if by_stream else POLL_S * clients, options))


def sides(url: str, against: str | None, options: Mapping[str, str], *, by_stream: bool) -> list[Side]:
    """Return our server at `url`, asked with these options, and rembg's at `against` if there is one."""
    first = ours(url, options, by_stream=by_stream)
    return [first] if against is None else [first, Side("rembg", lambda _: Rembg(against))]


@dataclass(slots=True)
class Measured:
    """All that was seen of one side with one photo; of several clients, by how many they were."""

    removals: list[Removal] = field(default_factory=list)
    images_per_s: dict[int, list[float]] = field(default_factory=dict)
    # Of the server, a photo; ours alone. The supervisor's share is without what asking for progress costs.
    cpu_ms: list[float] = field(default_factory=list)
    supervisor_ms: float = 0

    @property
    def latency_ms(self) -> float:
        """The median over one client's removals."""
        return statistics.median(one.latency_ms for one in self.removals)

    @property
    def throughput(self) -> dict[int, float]:
        """The median over the rounds of each number of clients, in images a second."""
        return {clients: statistics.median(rates) for clients, rates in self.images_per_s.items()}

    @property
    def around_network_ms(self) -> float:
        """The median time of everything but inference, over one client's removals."""
        return statistics.median(one.latency_ms - one.timings_ms["inference"] for one in self.removals)

    def stages_ms(self) -> dict[str, float]:
        """Each step's median over one client's removals, and what is left of the latency without them."""
        names = [name for name in self.removals[0].timings_ms if name not in NO_STEPS]
        if not names:
            return {}
        stages = {name: statistics.median(one.timings_ms[name] for one in self.removals) for name in names}
        rest = [one.latency_ms - sum(one.timings_ms[name] for name in names) for one in self.removals]
        queued = statistics.median(one.timings_ms["queued"] for one in self.removals)
        return {"queued": queued, **stages, "http and queue": statistics.median(rest)}


def one_client(side: Side, photo: Photo) -> Removal:
    """Do one removal with the server otherwise idle."""
    with side.connect(1) as client:
        return client.remove(photo)


def several_clients(side: Side, photo: Photo, clients: int, images: int) -> float:
    """Have `images` removals done by `clients` at once; return how many a second were."""
    todo = iter(range(images))
    guard = threading.Lock()
    stop = threading.Event()

    def work() -> None:
        with side.connect(clients) as client:
            while not stop.is_set():
                with guard:
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
            stop.set()  # one client's failure, or Ctrl-C, ends the others after their present photo
    return images / (time.perf_counter() - start)


@contextmanager
def asking_for_health(url: str) -> Iterator[list[float]]:
    """Ask for the server's health all the while; the list holds each answer's milliseconds."""
    latencies: list[float] = []
    stop = threading.Event()

    def ask() -> None:
        with httpx2.Client(trust_env=False, timeout=HEALTH_TIMEOUT_S) as http:
            while not stop.wait(HEALTH_INTERVAL_S):
                start = time.perf_counter()
                http.get(f"{url}/api/v1/health").raise_for_status()
                latencies.append((time.perf_counter() - start) * 1000)

    with ThreadPoolExecutor(1) as pool:
        asker = pool.submit(ask)
        try:
            yield latencies
        finally:
            stop.set()
        asker.result()
