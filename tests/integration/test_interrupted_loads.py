"""Loads that cannot be, or are broken into, against a real manager and real processes."""

import asyncio
import errno
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from shared.errors import Stopping
from shared.messages import WorkerConfig
from supervisor.models.lifecycle import ModelLifecycle
from supervisor.tasks.task_store import TaskStore
from supervisor.workers.device import CPU, Device
from supervisor.workers.spec import WorkerSpec
from supervisor.workers.state import WorkerState
from supervisor.workers.worker import Worker
from tests.dispatching import StubFiles, make_pool

SLOW = "tests.fake_workers.behaviours:loads_slowly"


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Run a scenario in bounded time."""
    asyncio.run(asyncio.wait_for(scenario, 30))


async def until(manager: Worker, state: WorkerState) -> None:
    """Wait for a state."""
    while manager.state is not state:  # noqa: ASYNC110  # no event to wait for
        await asyncio.sleep(0.01)


def life(manager: Worker, tasks: TaskStore | None = None) -> ModelLifecycle:
    """Return the life of a model whose files are there."""
    return ModelLifecycle(tasks or TaskStore(60), make_pool([manager]), StubFiles())


async def prepare_slow(_: Device) -> WorkerSpec:
    """Say how to start a worker that takes a while."""
    return WorkerSpec(SLOW, WorkerConfig("onnx", "", 1), 20, 20, 20)


def test_a_load_that_an_installation_breaks_into_is_made_up_for(tmp_path: Path) -> None:
    """The user has asked for the model; after the packages have changed it is there."""

    async def scenario() -> None:
        manager = Worker("test", CPU, prepare_slow, tmp_path)
        model = life(manager)
        task = model.load()
        assert task is not None
        await until(manager, WorkerState.STARTING)
        async with manager.pause():
            assert manager.pid is None
            await task.wait()
            assert task.code == "cancelled"
            assert model.error is None  # nothing has gone wrong
        await until(manager, WorkerState.READY)
        await manager.close()

    run(scenario())


def test_a_load_that_meets_an_unforeseen_error_ends_and_can_be_tried_again(tmp_path: Path) -> None:
    """Too many open files, for example: all later loads would be answered with the one that never ends."""
    tries = 0

    async def prepare(_: Device) -> WorkerSpec:
        nonlocal tries
        tries += 1
        raise OSError(errno.EMFILE, "Too many open files")

    async def scenario() -> None:
        model = life(Worker("test", CPU, prepare, tmp_path))
        for count in (1, 2):
            task = model.load()
            assert task is not None
            await task.wait()
            assert (task.status, task.code, tries) == ("error", "internal_error", count)

    run(scenario())


@pytest.mark.parametrize("turns", range(3))
def test_a_load_asked_for_while_another_is_cancelled_is_carried_out(tmp_path: Path, turns: int) -> None:
    """Its client has cancelled nothing; `turns` of the event loop lie between the two requests."""

    async def scenario() -> None:
        tasks, manager = TaskStore(60), Worker("test", CPU, prepare_slow, tmp_path)
        model = life(manager, tasks)
        first = model.load()
        assert first is not None
        await until(manager, WorkerState.STARTING)
        cancelling = asyncio.create_task(tasks.cancel(first))
        await asyncio.sleep(0)
        for _ in range(turns):
            await asyncio.sleep(0)
        second = model.load()
        assert second is not None
        await second.wait()
        await cancelling
        assert (first.code, second.status) == ("cancelled", "complete")
        await manager.close()

    run(scenario())


def test_no_load_begins_once_the_service_ends(tmp_path: Path) -> None:
    """Its worker would be started in the middle of the end, and hold it up."""

    async def scenario() -> None:
        model = life(Worker("test", CPU, prepare_slow, tmp_path))
        begun = model.load()
        await model.close()
        assert begun is not None
        assert begun.finished
        for begin in (model.load, model.restart):
            with pytest.raises(Stopping):
                begin()

    run(scenario())
