"""An offline batch: the cluster's actors read and write the files themselves; this process names them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from typing import Any

from ray.exceptions import RayError

from shared.errors import WorkerCrashed
from shared.messages import Event, Failed, NodeStatus, RemovalJob
from worker.cluster.nodes import ClusterNodes, RemoteActor

MAX_ATTEMPTS = 2
POLL_S = 0.5


class NoActors(Exception):
    """No node of the cluster can work; the message says why."""


@dataclass(frozen=True, slots=True)
class FileJob:
    """A file and where its result goes, as every node knows them."""

    source: str
    target: str
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """The end of a file's removal: Finished, or Failed."""

    job: FileJob
    event: Event


class OfflineBatch:
    """Runs the jobs of an iterator, as many at the same time as the actors take; the others are not read yet.

    `template` has the options of all. Lives on the event loop.
    """

    def __init__(self, nodes: ClusterNodes, template: RemovalJob) -> None:
        self._nodes = nodes
        self._template = template
        self._count = 0
        self._running: dict[asyncio.Task[FileOutcome], RemoteActor] = {}
        self._retries: list[FileJob] = []

    async def run(self, jobs: Iterator[FileJob]) -> AsyncIterator[FileOutcome]:
        """Yield the outcome of each job, in the order of their ends. Raises NoActors."""
        await self._wait_for_actors()
        exhausted = False
        while True:
            exhausted = await self._fill(jobs, exhausted=exhausted)
            if not self._running:
                if exhausted and not self._retries:
                    return
                await self._wait_for_actors()
                continue
            done, _ = await asyncio.wait(
                self._running, timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED
            )  # a timeout: nodes may have joined
            for task in done:
                actor = self._running.pop(task)
                actor.jobs.discard(task.get_name())
                outcome = task.result()
                if isinstance(outcome.event, Failed) and outcome.event.code == WorkerCrashed.code:
                    self._nodes.recover(actor)
                    if outcome.job.attempt < MAX_ATTEMPTS:
                        self._retries.append(replace(outcome.job, attempt=outcome.job.attempt + 1))
                        continue
                yield outcome

    async def _fill(self, jobs: Iterator[FileJob], *, exhausted: bool) -> bool:
        """Start jobs on all free slots; return whether the iterator is exhausted."""
        for actor in list(self._nodes.actors):
            while actor.free_slots > 0:
                job = self._retries.pop() if self._retries else None
                if job is None and not exhausted:
                    job = await asyncio.to_thread(next, jobs, None)
                    exhausted = job is None
                if job is None:
                    return exhausted
                self._start(job, actor)
        return exhausted

    def _start(self, job: FileJob, actor: RemoteActor) -> None:
        self._count += 1
        name = f"offline-{self._count}"
        actor.jobs.add(name)
        self._running[asyncio.create_task(self._remove(job, actor, name), name=name)] = actor

    async def _remove(self, job: FileJob, actor: RemoteActor, name: str) -> FileOutcome:
        stem = job.source.rpartition("/")[2].rpartition(".")[0]
        removal = replace(self._template, task_id=name, stem=stem or "image")
        try:
            event: Any = await actor.handle.remove_file.remote(removal, job.source, job.target)
        except RayError:
            event = Failed(name, WorkerCrashed.code, f"The worker on {actor.node} died.")
        return FileOutcome(job, event)

    async def _wait_for_actors(self) -> None:
        while not any(actor.info for actor in self._nodes.actors):
            if self._nodes.settled and self._nodes.describe_failures():
                raise NoActors(self._nodes.describe_failures())
            await asyncio.sleep(POLL_S)


def ignore_change(_: NodeStatus) -> None:
    """Ignore a node's change: the batch looks at the actors itself."""
