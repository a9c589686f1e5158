"""Removals between their admission and their worker."""

import asyncio
from pathlib import Path

from shared.options import RemovalOptions
from supervisor.metrics import Metrics
from supervisor.model_life import ModelLife
from supervisor.removals import Removals
from supervisor.results import ResultStore
from supervisor.tasks import OnProgress, TaskRegistry
from supervisor.worker_generation import WorkerSpec
from supervisor.worker_manager import WorkerManager


def test_a_removal_cancelled_while_its_photo_comes_in_is_not_done(tmp_path: Path) -> None:
    """It would take the worker's time for a result that nobody can fetch."""

    async def prepare(_: OnProgress) -> WorkerSpec:
        raise AssertionError("a worker was started")

    async def fetch(_: OnProgress) -> None:
        raise AssertionError("a model was fetched")

    looked: list[str] = []

    async def source() -> str:
        looked.append("at the photo")
        return "photo.png"

    async def scenario() -> None:
        tasks, results = TaskRegistry(60), ResultStore(tmp_path)
        model = ModelLife(tasks, WorkerManager("test", prepare, tmp_path), lambda: True, fetch)
        removals = Removals(tasks, results, lambda _: model, Metrics(), queue_limit=1, retention_s=60)
        removal = removals.admit(RemovalOptions(model="builtin"))
        await tasks.cancel(removal.task)
        task = removals.start(removal, source)
        while removals.queue_length:  # noqa: ASYNC110  # no event to wait for
            await asyncio.sleep(0.01)
        assert (task.status, task.code) == ("error", "cancelled")
        assert not looked
        assert not removal.folder.exists()

    asyncio.run(asyncio.wait_for(scenario(), 10))
