"""The driver of an offline batch, with actors that are replaced: few jobs at a time, and none is lost."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ray.exceptions import ActorDiedError

from shared.errors import WorkerCrashed, WorkerStartFailed, WorkerTimeout
from shared.messages import Failed, ModelInfo, RemovalJob
from shared.options import RemovalOptions
from worker.cluster import offline
from worker.cluster.nodes import ClusterNodes, RemoteActor
from worker.cluster.offline import READ_AHEAD, FileJob, FileOutcome, NoActors, OfflineBatch

pytestmark = pytest.mark.cluster
SLOTS = 2
DONE = Failed("", "done", "")  # the driver does not inspect the ends that it does not retry
Remove = Callable[[RemovalJob, str], Coroutine[Any, Any, Failed]]


class Nodes:
    """Nodes with one actor each; a dead actor is there again after `restart_s`."""

    settled = True

    def __init__(self, remove: Remove, count: int = 1, restart_s: float = 0.0) -> None:
        info = cast("ModelInfo", SimpleNamespace(max_concurrency=SLOTS))

        def remote(job: RemovalJob, source: str, *_: object) -> Coroutine[Any, Any, Failed]:
            return remove(job, source)

        handle = SimpleNamespace(remove_file=SimpleNamespace(remote=remote))
        self.actors = [RemoteActor(str(n), str(n), handle, info) for n in range(count)]
        self.killed: list[RemoteActor] = []
        self._restart_s = restart_s

    def describe_failures(self) -> str:
        """Return the head's, which never has an actor."""
        return "head: The node has no resources for an actor."

    def recover(self, actor: RemoteActor) -> None:
        """Make an actor again."""
        info, actor.info = actor.info, None
        asyncio.get_running_loop().call_later(self._restart_s, setattr, actor, "info", info)

    def kill(self, actor: RemoteActor) -> None:
        """Note the actor."""
        self.killed.append(actor)


def name_jobs(count: int | None = None) -> Iterator[FileJob]:
    """Yield so many jobs, or endless ones."""
    for number in itertools.count() if count is None else range(count):
        yield FileJob(str(number), f"{number}.png", str(number))


def start_batch(nodes: Nodes, job_timeout_s: float = 10.0) -> OfflineBatch:
    """Return a batch on these nodes."""
    template = RemovalJob("", "", "", RemovalOptions())
    return OfflineBatch(cast("ClusterNodes", nodes), template, job_timeout_s)


async def run_all(nodes: Nodes, jobs: Iterator[FileJob], job_timeout_s: float = 10.0) -> list[FileOutcome]:
    """Return the outcomes of all jobs."""
    return [outcome async for outcome in start_batch(nodes, job_timeout_s).run(jobs)]


def test_an_endless_list_is_read_only_a_little_ahead() -> None:
    """Memory does not grow with the number of photos."""
    read = 0

    def count() -> Iterator[FileJob]:
        nonlocal read
        for job in name_jobs():
            read += 1
            yield job

    async def remove(_: RemovalJob, source: str) -> Failed:
        await asyncio.sleep(0)
        running.add(source)
        return DONE

    async def take(number: int) -> None:
        outcomes = start_batch(Nodes(remove, count=3)).run(count())
        async for _ in outcomes:
            number -= 1
            if number == 0:
                break
        await asyncio.sleep(0.05)

    running: set[str] = set()
    asyncio.run(take(200))
    assert 200 <= len(running) <= 200 + 3 * SLOTS
    assert read <= len(running) + READ_AHEAD + 2


def test_the_only_actor_may_be_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its photos are tried again, one at a time, since one of them may be why it died."""
    monkeypatch.setattr(offline, "JOIN_GRACE_S", 0.0)
    running: list[str] = []
    attempts: list[tuple[str, bool, int]] = []

    async def remove(job: RemovalJob, source: str) -> Failed:
        running.append(source)
        await asyncio.sleep(0.01)
        attempts.append((source, job.alone, len(running)))
        running.remove(source)
        if source in {"2", "3"} and not job.alone:
            raise ActorDiedError
        return DONE

    outcomes = asyncio.run(run_all(Nodes(remove, restart_s=0.3), name_jobs(6)))
    assert sorted(outcome.job.source for outcome in outcomes) == list("012345")
    assert {outcome.event for outcome in outcomes} == {DONE}
    assert sorted((source, beside) for source, alone, beside in attempts if alone) == [("2", 1), ("3", 1)]


@pytest.mark.parametrize("died", [True, False])
def test_a_photo_that_kills_its_actor_twice_fails_alone(*, died: bool) -> None:
    """An actor that was made again without memory for its model is one that has died."""

    async def remove(_: RemovalJob, source: str) -> Failed:
        await asyncio.sleep(0)
        if source == "1":
            if died:
                raise ActorDiedError
            return Failed("", WorkerStartFailed.code, "There is not enough memory for the model.")
        return DONE

    nodes = Nodes(remove, count=2)
    outcomes = {outcome.job.source: outcome for outcome in asyncio.run(run_all(nodes, name_jobs(5)))}
    bad = outcomes.pop("1")
    assert isinstance(bad.event, Failed)
    assert bad.event.code == (WorkerCrashed.code if died else WorkerStartFailed.code)
    assert bad.job.attempt == 2
    assert {outcome.event for outcome in outcomes.values()} == {DONE}


def test_a_removal_that_takes_too_long_ends_its_actor_and_is_not_tried_again() -> None:
    """It would hold the slot until the end of the batch."""
    calls = []

    async def remove(_: RemovalJob, source: str) -> Failed:
        calls.append(source)
        await asyncio.sleep(60 if source == "0" else 0)
        return DONE

    nodes = Nodes(remove)
    outcomes = asyncio.run(run_all(nodes, name_jobs(3), job_timeout_s=0.2))
    events = {outcome.job.source: outcome.event for outcome in outcomes}
    assert isinstance(events["0"], Failed)
    assert events["0"].code == WorkerTimeout.code
    assert len(nodes.killed) == 1
    assert calls.count("0") == 1
    assert len(events) == 3


def test_without_a_node_that_can_work_the_batch_ends_with_the_reasons(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nodes that join within the grace time are waited for."""
    monkeypatch.setattr(offline, "JOIN_GRACE_S", 0.2)

    async def remove(_: RemovalJob, __: str) -> Failed:
        return DONE

    with pytest.raises(NoActors, match="no resources"):
        asyncio.run(run_all(Nodes(remove, count=0), name_jobs(1)))


def test_an_error_of_the_list_is_raised_after_the_jobs_before_it() -> None:
    """Such as a folder that cannot be read."""

    def fail() -> Iterator[FileJob]:
        yield from name_jobs(2)
        raise ZeroDivisionError

    async def remove(_: RemovalJob, __: str) -> Failed:
        return DONE

    async def run() -> None:
        async for outcome in start_batch(Nodes(remove)).run(fail()):
            ended.append(outcome)  # noqa: PERF401  # the error would take a comprehension's list along

    ended: list[FileOutcome] = []
    with pytest.raises(ZeroDivisionError):
        asyncio.run(run())
    assert len(ended) == 2
