"""An offline batch: the cluster's actors read and write the files themselves; this process names them."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from typing import Any

from ray.exceptions import RayError

from shared.errors import WorkerCrashed, WorkerStartFailed, WorkerTimeout
from shared.messages import Event, Failed, NodeStatus, RemovalJob
from worker.cluster.bridge_main import ACTOR_TIMEOUT_S, JOIN_GRACE_S
from worker.cluster.nodes import ClusterNodes, RemoteActor

MAX_ATTEMPTS = 2
POLL_S = 0.1
READ_AHEAD = 64  # jobs that are named before an actor is free
RETRIED = (WorkerCrashed.code, WorkerStartFailed.code)


class NoActors(Exception):
    """No node of the cluster can work; the message says why."""


@dataclass(frozen=True, slots=True)
class FileJob:
    """A file and where its result goes, as every node knows them. `stem` names the files in a zip."""

    source: str
    target: str
    stem: str
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """The end of a file's removal: Finished, or Failed."""

    job: FileJob
    event: Event
    seconds: float


class OfflineBatch:
    """Runs the jobs of an iterator, as many at the same time as the actors take, and reads few of them ahead.

    `template` has the options of all, `background` is the image behind the subjects, in the object store.
    Lives on the event loop.
    """

    def __init__(
        self,
        nodes: ClusterNodes,
        template: RemovalJob,
        job_timeout_s: float,
        background: Any = None,  # noqa: ANN401  # an ObjectRef
    ) -> None:
        self._nodes = nodes
        self._template = template
        self._job_timeout_s = job_timeout_s
        self._background = background
        self._count = 0
        self._running: dict[asyncio.Task[FileOutcome], RemoteActor] = {}
        self._retries: list[FileJob] = []
        self._named: asyncio.Queue[FileJob] = asyncio.Queue(READ_AHEAD)

    async def run(self, jobs: Iterator[FileJob]) -> AsyncIterator[FileOutcome]:
        """Yield the outcome of each job, as they end. Raises NoActors, and what `jobs` raises."""
        reading = asyncio.create_task(self._read(jobs))
        try:
            while True:
                await self._wait_for_actors()
                self._start_jobs()
                if reading.done() and self._named.empty() and not self._running and not self._retries:
                    await reading
                    return
                for outcome in await self._wait_for_ends():
                    yield outcome
        finally:
            reading.cancel()

    async def _read(self, jobs: Iterator[FileJob]) -> None:
        while job := await asyncio.to_thread(next, jobs, None):
            await self._named.put(job)

    def _start_jobs(self) -> None:
        """Start jobs on all free slots, those to retry first, each alone: one of them may crash its actor."""
        ready = [actor for actor in self._nodes.actors if actor.info is not None]
        while self._retries and ready:
            least = min(ready, key=lambda actor: len(actor.jobs))
            least.runs_alone = True  # it drains, if others run there
            if least.jobs:
                break
            self._start(self._retries.pop(), least)
        for actor in ready:
            for _ in range(min(actor.free_slots, self._named.qsize())):
                self._start(self._named.get_nowait(), actor)

    def _start(self, job: FileJob, actor: RemoteActor) -> None:
        self._count += 1
        name = f"offline-{self._count}"
        actor.jobs.add(name)
        self._running[asyncio.create_task(self._remove(job, actor, name), name=name)] = actor

    async def _remove(self, job: FileJob, actor: RemoteActor, name: str) -> FileOutcome:
        removal = replace(self._template, task_id=name, stem=job.stem, alone=job.attempt > 1)
        started_s = time.monotonic()
        event: Any
        try:
            async with asyncio.timeout(self._job_timeout_s):
                event = await actor.handle.remove_file.remote(
                    removal, job.source, job.target, self._background
                )
        except TimeoutError:
            text = f"The removal took longer than {self._job_timeout_s:g} s on {actor.node} and was ended."
            event = Failed(name, WorkerTimeout.code, text)
            self._nodes.kill(actor)
        except RayError:
            event = Failed(name, WorkerCrashed.code, f"The worker on {actor.node} died.")
        return FileOutcome(job, event, time.monotonic() - started_s)

    async def _wait_for_ends(self) -> list[FileOutcome]:
        """Wait for jobs to end, for nodes to join, or for names; return the outcomes that are final."""
        if not self._running:
            await asyncio.sleep(POLL_S)
            return []
        done, _ = await asyncio.wait(self._running, timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED)
        outcomes = []
        for task in done:
            actor = self._running.pop(task)
            actor.jobs.discard(task.get_name())
            actor.runs_alone = actor.runs_alone and bool(actor.jobs)
            outcome = task.result()
            code = outcome.event.code if isinstance(outcome.event, Failed) else ""
            if code in (*RETRIED, WorkerTimeout.code) and actor.info is not None:
                self._nodes.recover(actor)
            if code in RETRIED and outcome.job.attempt < MAX_ATTEMPTS:
                self._retries.append(replace(outcome.job, attempt=outcome.job.attempt + 1))
            else:
                outcomes.append(outcome)
        return outcomes

    async def _wait_for_actors(self) -> None:
        """Wait until an actor has its model, or jobs that run may end. Raises NoActors."""
        started_s = time.monotonic()
        while not self._running and not any(actor.info for actor in self._nodes.actors):
            waited_s = time.monotonic() - started_s
            failures = self._nodes.describe_failures()
            # An actor without its model that is still listed is being made again.
            if waited_s > JOIN_GRACE_S and self._nodes.settled and failures and not self._nodes.actors:
                raise NoActors(failures)
            if waited_s > ACTOR_TIMEOUT_S:
                raise NoActors(f"No actor was started within {ACTOR_TIMEOUT_S:g} s. {failures}".strip())
            await asyncio.sleep(POLL_S)


def ignore_change(_: NodeStatus) -> None:
    """Ignore a node's change: the batch looks at the actors itself."""
