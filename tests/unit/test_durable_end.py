"""The orderly end of a service with jobs that its spool keeps, in the dispatcher."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from shared.errors import Stopping
from shared.messages import RemovalJob, RemovalResult
from supervisor.jobs import records
from supervisor.jobs.recovery import read_spool
from supervisor.workers.spec import OnProgress
from tests.dispatching import Bench, ScriptedWorker, finished

CLOSE_TIMEOUT_S = 5


async def hang(_: RemovalJob, __: OnProgress) -> RemovalResult:
    """Never end."""
    await asyncio.Event().wait()
    raise AssertionError


async def started(path: Path) -> None:
    """Return once a job has been given to a worker."""
    while not list(path.rglob("attempt-1")):  # noqa: ASYNC110, ASYNC240  # on the disk
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("synchronous", [True, False])
def test_waiting_jobs_are_left_while_others_end(tmp_path: Path, *, synchronous: bool) -> None:
    """A job that ends after others were suspended updates the positions of all that wait."""
    ending = asyncio.Event()

    async def behave(job: RemovalJob, _: OnProgress) -> RemovalResult:
        try:
            await ending.wait()
        except asyncio.CancelledError:  # it has just finished
            return finished(job)
        raise AssertionError

    bench = Bench(tmp_path, [ScriptedWorker(behave)])
    bench.spool.durable = True

    async def scenario() -> None:
        await bench.submit("runs", synchronous=synchronous)
        waiting = [await bench.submit(f"waits {number}") for number in range(3)]
        last = await bench.submit("waits too", synchronous=True)
        while len(list(bench.queue)) != 4:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await asyncio.wait_for(bench.dispatcher.close(), CLOSE_TIMEOUT_S)
        assert last.code == "stopping"
        assert [task.status for task in waiting] == ["queued"] * 3
        assert {task.id for task in waiting} <= {each.job.id for each in read_spool(tmp_path)}

    bench.run(scenario)


def test_a_cancel_during_the_end_is_refused(tmp_path: Path) -> None:
    """The job is left in the spool, and runs after the restart: `cancelled` would be untrue."""
    bench = Bench(tmp_path, [ScriptedWorker(hang)])
    bench.spool.durable = True

    async def scenario() -> None:
        await bench.submit("runs")
        await started(tmp_path)
        waiting = await bench.submit("waits")
        draining = asyncio.create_task(bench.dispatcher.drain(0.2))
        await asyncio.sleep(0)
        with pytest.raises(Stopping):
            await bench.tasks.cancel(waiting)
        assert not waiting.finished
        await draining

    bench.run(scenario)


def test_the_end_needs_no_writable_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system with errors is remounted read-only; then the record of the attempt stays."""

    def refuse(*_: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(records, "unmark_attempt", refuse)
    bench = Bench(tmp_path, [ScriptedWorker(hang)])
    bench.spool.durable = True

    async def scenario() -> None:
        await bench.submit("runs")
        await started(tmp_path)
        await asyncio.wait_for(bench.dispatcher.close(), CLOSE_TIMEOUT_S)

    bench.run(scenario)
