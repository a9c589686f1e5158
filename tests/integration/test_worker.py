"""One model's worker process behind a dispatcher, without a server around them."""

import asyncio
import itertools
import time
from pathlib import Path

import pytest

from shared.errors import BgremoveError, OutOfMemory, WorkerCrashed, WorkerStartFailed, WorkerTimeout
from shared.messages import WorkerConfig
from supervisor.workers import handle, restart_policy
from supervisor.workers.spec import WorkerSpec
from supervisor.workers.worker import Worker
from tests.dispatching import Bench
from tests.fake_workers.two_at_once import DEVICE_MEMORY_BYTES

BEHAVIOURS = "tests.fake_workers.behaviours"
TWO_AT_ONCE = "tests.fake_workers.two_at_once"
TIMEOUT_S = 60


def ignore(_percent: float, _message: str) -> None:
    """Follow nothing."""


class Case:
    """A worker with a fake process, behind a real dispatcher."""

    def __init__(
        self, folder: Path, entry: str, load_timeout_s: float = TIMEOUT_S, job_timeout_s: float = TIMEOUT_S
    ) -> None:
        self.started_at: list[float] = []  # monotonic seconds
        config = WorkerConfig("builtin", "", 1)
        self._spec = WorkerSpec(entry, config, TIMEOUT_S, load_timeout_s, job_timeout_s)
        self.worker = Worker("test", self.prepare, folder)
        self.bench = Bench(folder, [self.worker])

    async def prepare(self) -> WorkerSpec:
        """Return how to start the process, and remember when."""
        self.started_at.append(time.monotonic())
        return self._spec


def test_as_many_photos_are_in_flight_as_the_worker_takes(tmp_path: Path) -> None:
    """One by one, a GPU would wait for each photo to be decoded."""
    case = Case(tmp_path, f"{TWO_AT_ONCE}:in_pairs")

    async def scenario() -> None:
        for _ in range(2):  # the model has to be loaded for the first two
            await asyncio.gather(case.bench.remove(), case.bench.remove())

    case.bench.run(scenario)


def test_a_photo_that_kills_workers_takes_the_one_beside_it_along_only_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever sent that one has done nothing wrong: it is tried again with no other job on the worker."""
    monkeypatch.setattr(restart_policy, "BACKOFF_S", (0.0,) * 5)
    case = Case(tmp_path, f"{TWO_AT_ONCE}:obeys")

    async def scenario() -> None:
        await case.bench.remove()
        outcomes = case.bench.outcome("sleep 0.5"), case.bench.outcome("exit 3")
        healthy, poison = await asyncio.gather(*outcomes)
        assert not isinstance(healthy, BgremoveError)
        assert isinstance(poison, WorkerCrashed)

    case.bench.run(scenario)


def test_a_jobs_timeout_counts_from_its_start_and_not_from_its_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With eight jobs in flight a hang would be noticed after eight times the timeout."""
    monkeypatch.setattr(restart_policy, "BACKOFF_S", (0.0,) * 5)
    case = Case(tmp_path, f"{TWO_AT_ONCE}:obeys", job_timeout_s=1.5)

    async def scenario() -> None:
        await case.bench.remove()
        start = time.monotonic()
        outcomes = await asyncio.gather(case.bench.outcome("sleep 0.8"), case.bench.outcome("sleep 30"))
        assert not isinstance(outcomes[0], BgremoveError)
        assert isinstance(outcomes[1], WorkerTimeout)
        assert time.monotonic() - start < 15

    case.bench.run(scenario)


def test_a_load_that_hangs_after_its_first_progress_is_ended(tmp_path: Path) -> None:
    """The bar would stand at a half until the service ends."""
    case = Case(tmp_path, f"{BEHAVIOURS}:hangs_in_load", load_timeout_s=0.2)

    async def scenario() -> None:
        with pytest.raises(WorkerTimeout, match="stopped loading"):
            await case.worker.load(ignore)

    case.bench.run(scenario)


def test_a_worker_that_dies_again_is_started_after_a_back_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it lacks may be back in a moment; without a back-off, five deaths take less than that."""
    monkeypatch.setattr(restart_policy, "BACKOFF_S", (0.0, 0.5, 0.5, 0.5, 0.5))
    case = Case(tmp_path, f"{BEHAVIOURS}:dies_in_load")

    async def scenario() -> None:
        for _ in range(2):  # each is tried twice
            assert isinstance(await case.bench.outcome(), WorkerStartFailed)
        lives_s = [after - before for before, after in itertools.pairwise(case.started_at)]
        assert len(lives_s) == 3
        assert min(lives_s[1:]) >= 0.5

    case.bench.run(scenario)


def test_a_worker_that_the_system_killed_for_lack_of_memory_is_reported_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user would look for a fault in the photo, and not take a smaller one."""
    counter = itertools.count()
    monkeypatch.setattr(handle, "oom_kills", lambda: next(counter))
    case = Case(tmp_path, f"{BEHAVIOURS}:obeys")

    async def scenario() -> None:
        with pytest.raises(OutOfMemory, match="killed the worker"):
            await case.bench.remove("signal SIGKILL")

    case.bench.run(scenario)


def test_an_unload_reports_the_devices_memory_too(tmp_path: Path) -> None:
    """It is what the user unloads for: a GPU's is scarce."""
    case = Case(tmp_path, f"{TWO_AT_ONCE}:obeys")

    async def scenario() -> None:
        await case.worker.load(ignore)
        freed = await case.bench.models.lifecycle.unload()
        assert (freed["freed_bytes"] or 0) > DEVICE_MEMORY_BYTES

    case.bench.run(scenario)
