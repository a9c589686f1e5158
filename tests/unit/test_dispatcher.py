"""Removals between their admission and their worker."""

import asyncio
from pathlib import Path

import pytest

from shared.errors import Stopping
from shared.options import RemovalOptions
from supervisor.jobs.dispatcher import Removals
from supervisor.jobs.spool import Spool
from supervisor.jobs.task import OnProgress, TaskStore
from supervisor.models.lifecycle import ModelLifecycle
from supervisor.observability.metrics import Metrics
from supervisor.workers.handle import WorkerSpec
from supervisor.workers.worker import Worker


async def never() -> str:
    """Bring no photo: nobody is to ask."""
    raise AssertionError("somebody looked at the photo")


def removals_of(folder: Path, tasks: TaskStore | None = None) -> Removals:
    """Return removals whose model is never to be asked for."""

    async def prepare(_: OnProgress) -> WorkerSpec:
        raise AssertionError("a worker was started")

    async def fetch(_: OnProgress) -> None:
        raise AssertionError("a model was fetched")

    tasks = tasks or TaskStore(60)
    model = ModelLifecycle(tasks, Worker("test", prepare, folder), lambda: True, fetch)
    return Removals(tasks, Spool(folder), lambda _: model, Metrics(), queue_limit=2, retention_s=60)


def test_a_removal_cancelled_while_its_photo_comes_in_is_not_done(tmp_path: Path) -> None:
    """It would take the worker's time for a result that nobody can fetch."""

    async def scenario() -> None:
        tasks = TaskStore(60)
        removals = removals_of(tmp_path, tasks)
        removal = removals.admit(RemovalOptions(model="builtin"))
        await tasks.cancel(removal.task)
        task = removals.start(removal, never)
        while removals.queue_length:  # noqa: ASYNC110  # no event to wait for
            await asyncio.sleep(0.01)
        assert (task.status, task.code) == ("error", "cancelled")
        assert not removal.folder.exists()

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_a_removal_that_begins_as_the_service_ends_is_ended_too(tmp_path: Path) -> None:
    """Its client would follow it until the connection is cut, and never hear that it should come again."""

    async def scenario() -> None:
        removals = removals_of(tmp_path)
        early, late = (removals.admit(RemovalOptions(model="builtin")) for _ in range(2))
        task = removals.start(early, never)
        await removals.close()
        assert (task.status, task.code) == ("error", "stopping")
        task = removals.start(late, never)  # its upload took as long
        await task.ended()
        assert task.code == "stopping"
        assert removals.queue_length == 0

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_a_photo_that_comes_at_the_end_is_told_to_come_again(tmp_path: Path) -> None:
    """Taken in, it would be deleted unseen, and its client would ask a service that is gone."""

    async def scenario() -> None:
        removals = removals_of(tmp_path)
        await removals.close()
        with pytest.raises(Stopping):
            removals.admit(RemovalOptions(model="builtin"))

    asyncio.run(scenario())
