"""Health answers at once, whatever the service is doing: a managing application relies on it."""

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.package_index import LASTING_BACKEND, add_source, add_wheel
from tests.integration.scratch import Scratch, installed, status
from tests.photos import wish
from tests.service import OBEYS, Service

pytestmark = pytest.mark.alone
BEHAVIOURS = "tests.fake_workers.behaviours"
P99_MS = 50
FEWEST_ANSWERS = 300  # so that three may be slower than the p99
PAUSE_S = 0.003
ROUNDS = 5


def p99_ms(service: Service, work: Callable[[Service], None]) -> float:
    """Ask for health as long as the work lasts, often enough, and return the answers' p99."""
    answers_ms: list[float] = []
    with ThreadPoolExecutor(1) as pool:
        while len(answers_ms) < FEWEST_ANSWERS:
            working = pool.submit(work, service)
            while not working.done():
                begin = time.perf_counter()
                assert service.client.get("/health").status_code == 200
                answers_ms.append((time.perf_counter() - begin) * 1000)
                time.sleep(PAUSE_S)
            working.result()
    return sorted(answers_ms)[len(answers_ms) * 99 // 100]


def best(measure: Callable[[], float]) -> float:
    """Measure until it is within the bound: what else runs on the machine can only add to it."""
    lowest = math.inf
    for _ in range(ROUNDS):
        lowest = min(lowest, measure())
        if lowest < P99_MS:
            break
    return lowest


def restart_flood_and_crash(service: Service) -> None:
    """Replace workers that are busy, and one that dies of its photo."""
    for number in range(6):
        task_id = service.upload(wish("exit 1" if number == 3 else "flood 0.2"))
        service.client.post("/worker/restart")
        service.finished(task_id)


def load_and_unload(service: Service) -> None:
    """Load the model a few times."""
    for _ in range(2):
        assert service.finished(load(service))["status"] == "complete"
        service.client.post("/remove/unload")


def try_to_load(service: Service) -> None:
    """Load what cannot be loaded, time and again."""
    end = time.monotonic() + 2
    while time.monotonic() < end:
        assert service.finished(load(service))["status"] == "error"


def send_long_json(service: Service) -> None:
    """Send what takes a parser a second to refuse."""
    body = b"[" + b"[]," * 1_400_000 + b"[]]"
    for path in ("/api/v1/remove/url", "/v1.0/removebg"):
        headers = {"Content-Type": "application/json"}
        answer = service.client.post(service.url + path, content=body, headers=headers)
        assert answer.is_client_error


def load(service: Service) -> str:
    """Ask for a load and return its task's id."""
    task_id: str = service.client.post("/remove/load?model=builtin").json()["task_id"]
    return task_id


@pytest.mark.slow
@pytest.mark.parametrize(
    ("worker", "work"),
    [
        (OBEYS, restart_flood_and_crash),
        (f"{BEHAVIOURS}:loads_in_a_flood", load_and_unload),
        (f"{BEHAVIOURS}:dies_at_import", try_to_load),
        (f"{BEHAVIOURS}:dies_in_load", try_to_load),
        (f"{BEHAVIOURS}:never_ready", try_to_load),
        (OBEYS, send_long_json),
    ],
    ids=[
        "restarts, floods, a crash",
        "loads in a flood",
        "deaths at import",
        "deaths in the load",
        "no sign of life",
        "long JSON",
    ],
)
def test_health_answers_at_once_whatever_goes_on(
    start: Callable[..., Service], worker: str, work: Callable[[Service], None]
) -> None:
    """A managing application takes a slow health answer for a dead service."""
    service = start(builtin_worker=worker, start_timeout_s=1)
    assert best(lambda: p99_ms(service, work)) < P99_MS


@pytest.mark.slow
def test_health_answers_at_once_during_an_install(data_dir: Path, tmp_path: Path) -> None:
    """pip runs for minutes, and the application must not give the service up meanwhile."""
    names = ("slow", *(f"tiny{number}" for number in range(10)))

    def work(service: Service) -> None:
        assert installed(service)["status"] == "complete"
        assert status(service)["missing"] == []

    def measure() -> float:
        folder = tmp_path / f"{time.monotonic_ns()}"
        scratch = Scratch(folder, *names)
        built = add_wheel(folder, "slow")
        add_source(scratch.index, "slow", LASTING_BACKEND.format(wheel=str(built)))
        for name in names[1:]:
            scratch.wheel(name)
        with scratch.service(data_dir) as service:
            service.cut(wish())
            return p99_ms(service, work)

    assert best(measure) < P99_MS
