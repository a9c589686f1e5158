"""One model's worker process and those who wait for it, without a server around them."""

import asyncio
import itertools
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from shared.errors import OutOfMemory, WorkerCrashed, WorkerStartFailed, WorkerTimeout
from shared.messages import RemovalJob, RemovalResult, WorkerConfig
from shared.options import RemovalOptions
from supervisor.jobs.task import OnProgress, TaskStore
from supervisor.models.lifecycle import ModelLifecycle
from supervisor.workers import handle, restart_policy
from supervisor.workers.deadline import Deadline
from supervisor.workers.handle import WorkerHandle, WorkerSpec
from supervisor.workers.worker import Worker
from tests.fake_workers.two_at_once import DEVICE_MEMORY_BYTES
from tests.photos import wish

BEHAVIOURS = "tests.fake_workers.behaviours"
TWO_AT_ONCE = "tests.fake_workers.two_at_once"
TIMEOUT_S = 60


def ignore(_percent: float, _message: str) -> None:
    """Follow nothing."""


class Bench:
    """A manager with a fake worker, and what goes through it."""

    def __init__(self, folder: Path, worker: str, load_timeout_s: float = TIMEOUT_S) -> None:
        self.folder = folder
        self.started_at: list[float] = []  # monotonic seconds
        self._spec = WorkerSpec(worker, WorkerConfig("builtin", "", 1), TIMEOUT_S, load_timeout_s, TIMEOUT_S)
        self.manager = Worker("test", self.prepare, folder)

    async def prepare(self, _: OnProgress) -> WorkerSpec:
        """Say how to start the worker, and remember when."""
        self.started_at.append(time.monotonic())
        return self._spec

    async def remove(self, name: str, text: str = "") -> RemovalResult:
        """Have a photo done, in its turn."""
        source = self.folder / name
        source.write_bytes(wish(text))
        job = RemovalJob(name, str(source), f"{source}.out", RemovalOptions())
        async with self.manager.turns.next() as turn:
            return await self.manager.remove(job, ignore, turn)


def run(bench: Bench, scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario in bounded time, and end the worker."""

    async def whole() -> None:
        try:
            await asyncio.wait_for(scenario(), TIMEOUT_S)
        finally:
            await bench.manager.close()

    asyncio.run(whole())


def test_as_many_photos_are_on_their_way_as_the_worker_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One by one, a GPU would wait for each photo to be decoded; and the one that waits needs more time."""
    bench = Bench(tmp_path, f"{TWO_AT_ONCE}:in_pairs")
    bounds: list[float] = []
    deadline = WorkerHandle._deadline

    def noted(self: WorkerHandle, timeout_s: float, what: str) -> Deadline:
        if "removal" in what:
            bounds.append(timeout_s)
        return deadline(self, timeout_s, what)

    monkeypatch.setattr(WorkerHandle, "_deadline", noted)

    async def scenario() -> None:
        for first, second in ("ab", "cd"):  # the worker has to be loaded for the first two
            await asyncio.gather(bench.remove(first), bench.remove(second))
        assert bounds == [TIMEOUT_S, 2 * TIMEOUT_S] * 2

    run(bench, scenario)


def test_a_photo_that_kills_workers_takes_the_one_beside_it_along_only_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever sent that one has done nothing wrong: it is tried again with nobody beside."""
    monkeypatch.setattr(restart_policy, "BACKOFF_S", (0.0,) * 5)
    bench = Bench(tmp_path, f"{TWO_AT_ONCE}:obeys")

    async def scenario() -> None:
        await bench.remove("first")
        removals = bench.remove("healthy", "sleep 0.5"), bench.remove("poison", "exit 3")
        healthy, poison = await asyncio.gather(*removals, return_exceptions=True)
        assert isinstance(healthy, RemovalResult)
        assert isinstance(poison, WorkerCrashed)

    run(bench, scenario)


def test_a_load_that_hangs_after_its_first_sign_is_ended(tmp_path: Path) -> None:
    """The bar would stand at a half for ever."""
    bench = Bench(tmp_path, f"{BEHAVIOURS}:hangs_in_load", load_timeout_s=0.2)

    async def scenario() -> None:
        with pytest.raises(WorkerTimeout, match="stopped loading"):
            await bench.manager.load(ignore)

    run(bench, scenario)


def test_a_worker_that_dies_again_is_given_a_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it lacks may be back in a moment; without a rest, five deaths take less than that."""
    monkeypatch.setattr(restart_policy, "BACKOFF_S", (0.0, 0.5, 0.5, 0.5, 0.5))
    bench = Bench(tmp_path, f"{BEHAVIOURS}:dies_in_load")

    async def scenario() -> None:
        for name in "ab":  # each is tried twice
            with pytest.raises(WorkerStartFailed):
                await bench.remove(name)
        lives_s = [after - before for before, after in itertools.pairwise(bench.started_at)]
        assert len(lives_s) == 3
        assert min(lives_s[1:]) >= 0.5

    run(bench, scenario)


def test_a_worker_that_the_system_killed_for_memory_is_told_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user would look for a fault in the photo, and not take a smaller one."""
    counter = itertools.count()
    monkeypatch.setattr(handle, "oom_kills", lambda: next(counter))
    bench = Bench(tmp_path, f"{BEHAVIOURS}:obeys")

    async def scenario() -> None:
        with pytest.raises(OutOfMemory, match="killed the worker"):
            await bench.remove("large", "signal SIGKILL")

    run(bench, scenario)


def test_an_unload_tells_of_the_devices_memory_too(tmp_path: Path) -> None:
    """It is what the user unloads for: a GPU's is scarce."""
    bench = Bench(tmp_path, f"{TWO_AT_ONCE}:obeys")

    async def scenario() -> None:
        async def fetch(_: OnProgress) -> None:
            """Have nothing to fetch."""

        life = ModelLifecycle(TaskStore(60), bench.manager, lambda: True, fetch)
        await bench.manager.load(ignore)
        freed = await life.unload()
        assert (freed["freed_bytes"] or 0) > DEVICE_MEMORY_BYTES

    run(bench, scenario)
