"""The bridge: gives the supervisor's jobs to the cluster's actors, and their events to the supervisor."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ray.exceptions import RayError

from shared.errors import Cancelled, OutOfMemory, StorageFailed, WorkerCrashed, WorkerTimeout
from shared.messages import Event, Failed, Finished, RemovalJob
from worker.cluster.actor import RemoteEnd
from worker.cluster.byte_parts import MAX_PARTS, join_parts, split_bytes
from worker.cluster.nodes import ClusterNodes, RemoteActor

CANCEL_GRACE_S = 1.5  # less than the supervisor's, which would then end the bridge
log = logging.getLogger("worker.cluster")


@dataclass(eq=False, slots=True)
class _Running:
    """A job on an actor. `cause` is why its actor was killed."""

    actor: RemoteActor
    task: asyncio.Task[None]
    deadline: asyncio.Timeout
    cause: Failed | None = None


class Bridge:
    """Runs each job on the actor with the least to do, and a job that is to be alone on one without others.

    `send` sends an event to the supervisor. Lives on the event loop.
    """

    def __init__(self, nodes: ClusterNodes, send: Callable[[Event], None], job_timeout_s: float) -> None:
        self._nodes = nodes
        self._send = send
        self._job_timeout_s = job_timeout_s
        self._waiting: dict[str, RemovalJob] = {}
        self._running: dict[str, _Running] = {}
        self._followers: dict[RemoteActor, asyncio.Task[None]] = {}

    def submit(self, job: RemovalJob) -> None:
        """Run a job as soon as an actor takes it."""
        self._waiting[job.task_id] = job
        self.assign()

    def cancel(self, task_id: str) -> None:
        """Stop a job. An actor that does not react is killed, unless other jobs run there."""
        if self._waiting.pop(task_id, None) is not None:
            self._send(Failed(task_id, Cancelled.code, Cancelled().detail))
        elif task_id in self._running:
            running = self._running[task_id]
            running.actor.handle.cancel.remote(task_id)
            asyncio.get_running_loop().call_later(CANCEL_GRACE_S, self._end_cancelled, task_id, running)

    def _end_cancelled(self, task_id: str, running: _Running) -> None:
        if self._running.get(task_id) is running and len(running.actor.jobs) == 1:
            self._kill(running, Failed(task_id, Cancelled.code, Cancelled().detail))

    def assign(self) -> None:
        """Give the waiting jobs, in their order, to the actors that have free slots."""
        for actor in self._nodes.actors:
            if actor.info is not None and actor not in self._followers:
                self._followers[actor] = asyncio.ensure_future(self._follow_progress(actor))
        for job in list(self._waiting.values()):
            chosen = self._choose(job)
            if chosen is not None:
                del self._waiting[job.task_id]
                chosen.jobs.add(job.task_id)
                deadline = asyncio.timeout(None)
                task = asyncio.ensure_future(self._run(job, chosen, deadline))
                self._running[job.task_id] = _Running(chosen, task, deadline)

    def _choose(self, job: RemovalJob) -> RemoteActor | None:
        ready = [actor for actor in self._nodes.actors if actor.info is not None]
        if not job.alone:
            free = [actor for actor in ready if actor.free_slots > 0]
            return max(free, key=lambda actor: actor.free_slots, default=None)
        least = min(ready, key=lambda actor: len(actor.jobs), default=None)
        if least is not None:
            least.runs_alone = True  # it drains, if others run there
        return None if least is None or least.jobs else least

    async def _follow_progress(self, actor: RemoteActor) -> None:
        """Forward the progress of an actor's jobs until it dies. A job's deadline counts from the first."""
        loop = asyncio.get_running_loop()
        try:
            async for reference in actor.handle.follow_progress.options(num_returns="streaming").remote():
                for event in await reference:
                    running = self._running.get(event.task_id)
                    if running is not None and running.actor is actor:
                        if running.deadline.when() is None:
                            running.deadline.reschedule(loop.time() + self._job_timeout_s)
                        self._send(event)
        except RayError:
            pass  # each of its jobs reports that
        finally:
            del self._followers[actor]

    async def _run(self, job: RemovalJob, actor: RemoteActor, deadline: asyncio.Timeout) -> None:
        try:
            async with deadline:
                last = await self._remove(job, actor)
        except TimeoutError:
            running = self._running[job.task_id]
            text = f"The removal took longer than {self._job_timeout_s:g} s on {actor.node} and was ended."
            last = Failed(job.task_id, WorkerTimeout.code, text)
            self._kill(running, last)
        except RayError as error:
            log.warning(
                "actor died", extra={"node": actor.node, "task_id": job.task_id, "reason": str(error)}
            )
            cause = self._running[job.task_id].cause
            last = cause or Failed(job.task_id, WorkerCrashed.code, f"The worker on {actor.node} died.")
            if actor.info is not None:
                self._nodes.recover(actor)
        except MemoryError:
            last = Failed(job.task_id, OutOfMemory.code, OutOfMemory().detail)
        except OSError as error:
            log.warning("result not stored", extra={"reason": str(error)})
            last = Failed(job.task_id, StorageFailed.code, StorageFailed().detail)
        del self._running[job.task_id]
        actor.jobs.discard(job.task_id)
        actor.runs_alone = actor.runs_alone and bool(actor.jobs)
        self._send(last)
        self.assign()

    async def _remove(self, job: RemovalJob, actor: RemoteActor) -> Event:
        """Send a job to an actor, store its result, and return its end."""
        photo = await asyncio.to_thread(Path(job.source_path).read_bytes)
        background = None
        if job.background_path is not None:
            background = await asyncio.to_thread(Path(job.background_path).read_bytes)
        mask = None
        if job.mask_path is not None:
            mask = await asyncio.to_thread(Path(job.mask_path).read_bytes)
        remove = actor.handle.remove.options(num_returns=1 + MAX_PARTS)
        first, *others = remove.remote(job, background, mask, *split_bytes(photo))
        del photo, background, mask
        end: RemoteEnd = await first
        if isinstance(end.event, Finished):
            parts = await asyncio.gather(*others[: end.parts])
            await asyncio.to_thread(Path(job.result_path).write_bytes, join_parts(parts))
            self._nodes.count_job(actor)
        return end.event

    def _kill(self, running: _Running, cause: Failed) -> None:
        running.cause = cause
        self._nodes.kill(running.actor)
        self._nodes.recover(running.actor)
