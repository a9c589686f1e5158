"""The dispatcher: leases jobs to worker slots, runs them, retries each once, alone, and ends them.

A job's states and what moves it on:

    fetching   its images are remote; a coroutine fetches them            -> waiting, ended
    waiting    it is in the queue until a worker of its model has a slot   -> running, ended
    running    a coroutine holds the slot and awaits the worker            -> waiting (retry), ended

At an orderly end of the service, jobs that the spool keeps are left there in whatever state they are.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from shared.catalog import NO_MODEL
from shared.errors import (
    BgremoveError,
    Cancelled,
    Stopping,
    WorkerFailed,
    WorkerReplaced,
    WorkerStartFailed,
)
from shared.messages import RemovalResult
from supervisor.jobs.ends import Entry, JobEnds
from supervisor.jobs.image_fetch import ImageFetcher
from supervisor.jobs.job import Job
from supervisor.jobs.placement import PlacementRound, is_due
from supervisor.jobs.queue import JobQueue
from supervisor.jobs.spool import Spool
from supervisor.jobs.webhook import Webhooks
from supervisor.models.lifecycle import ModelLifecycle
from supervisor.models.registry import Models
from supervisor.observability.metrics import Metrics
from supervisor.tasks.task import Task, TaskKind
from supervisor.tasks.task_store import TaskStore
from supervisor.workers.slots import Slot

MAX_ATTEMPTS = 2  # of a job whose worker dies
DECODE_PERCENT = 5  # where the worker's own steps begin; before it, the worker is started
RETRY_S = 1.0  # after a round that failed, as for lack of threads
log = logging.getLogger("supervisor.dispatcher")


class Dispatcher:
    """Runs jobs on the workers of their models. Lives on the event loop."""

    def __init__(
        self,
        queue: JobQueue,
        tasks: TaskStore,
        spool: Spool,
        models: Models,
        metrics: Metrics,
        fetcher: ImageFetcher,
        webhooks: Webhooks,
    ) -> None:
        self.queue = queue
        self._tasks = tasks
        self._spool = spool
        self._models = models
        self._metrics = metrics
        self._fetcher = fetcher
        self._ends = JobEnds(spool, metrics, webhooks)
        self._entries: dict[str, Entry] = {}
        self._wake = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._closed = False

    def open(self) -> None:
        """Start leasing jobs to the workers, now and whenever one of them has a free slot."""
        self._models.subscribe(self._wake.set)
        self._loop = asyncio.create_task(self._lease_forever(), name="dispatcher")

    def submit(self, job: Job) -> Task:
        """Queue a job whose uploads are in the spool, and return its task.

        Raises QueueFull, Stopping, UnknownModel, or WorkerStartFailed while the model's workers fail.
        """
        if self._closed:
            raise Stopping
        if problem := self._models.resolve(job.model).pool.problem:
            raise WorkerStartFailed(problem)
        try:
            self.queue.admit(job.id)
        except BgremoveError as error:
            self._metrics.count_removal(error.code)
            raise
        return self._add(job)

    def restore(self, job: Job) -> Task:
        """Queue a job that was accepted before a restart, and return its task. Raises UnknownModel."""
        self._models.resolve(job.model)  # the settings may have changed
        self.queue.readmit(job.id)
        return self._add(job)

    def _add(self, job: Job) -> Task:
        task = self._tasks.create(TaskKind.REMOVE, job.id)
        waited_s = max(0.0, (datetime.now(UTC) - job.submitted_at).total_seconds())
        entry = self._entries[job.id] = Entry(job, task, submitted_at_s=time.monotonic() - waited_s)
        task.cancel = lambda: self._cancel_for_client(entry)
        if job.has_remote_images:
            entry.runner = asyncio.create_task(self._fetch(entry), name=job.id)
        else:
            self._enqueue(entry)
        return task

    def count_jobs(self, model: str | None) -> int:
        """Return how many jobs wait for this model, or for any, or run on it."""
        return len(self._find_entries(model))

    async def cancel_jobs(self, model: str | None) -> int:
        """Cancel the jobs that wait for this model, or for any, or run on it; return their number."""
        entries = self._find_entries(model)
        await asyncio.gather(*(self._cancel_for_client(entry) for entry in entries))
        return len(entries)

    def _find_entries(self, model: str | None) -> list[Entry]:
        entries = self._entries.values()
        return [e for e in entries if model in (None, self._models.resolve(e.job.model).pool.name)]

    async def drain(self, timeout_s: float) -> None:
        """Accept and start no more jobs, and give the running ones that the spool keeps time to end."""
        self._closed = True
        if self._loop is not None:
            self._loop.cancel()
        running = [entry.runner for entry in self._entries.values() if entry.runner and self._keeps(entry)]
        if running:
            await asyncio.wait(running, timeout=timeout_s)

    async def close(self) -> None:
        """Accept no more jobs, and stop all: those that the spool keeps will be queued after a restart."""
        await self.drain(0)
        await asyncio.gather(*(self._cancel(entry) for entry in list(self._entries.values())))

    def _keeps(self, entry: Entry) -> bool:
        return self._spool.keeps(entry.job)

    def _enqueue(self, entry: Entry) -> None:
        self.queue.put(entry.job)
        self._update_positions()
        self._wake.set()

    def _update_positions(self) -> None:
        for position, job in enumerate(self.queue, start=1):
            self._entries[job.id].task.queue_position = position

    async def _lease_forever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._lease_jobs()
            except Exception:
                log.exception("dispatch failed")
                asyncio.get_running_loop().call_later(RETRY_S, self._wake.set)  # nothing else may wake it

    async def _lease_jobs(self) -> None:
        """Start every waiting job that has a slot now, in the order of the queue."""
        if any(job.model in ("auto", NO_MODEL) for job in self.queue):
            await self._models.refresh()
        waiting = [(self._entries[job.id], self._models.resolve(job.model)) for job in self.queue]
        waiting.sort(key=lambda pair: not is_due(pair[0]))  # stable; else the room for it goes to others
        placement = PlacementRound(self._models.residency, (model.pool.name for _, model in waiting))
        for entry, model in waiting:
            slot = placement.try_acquire(entry, model)
            if slot is not None:
                self._start(entry, model, slot)
        self._update_positions()

    def _start(self, entry: Entry, model: ModelLifecycle, slot: Slot) -> None:
        self.queue.lease(entry.job)
        entry.task.queue_position = None
        entry.started_at_s = entry.started_at_s or time.monotonic()
        entry.runner = asyncio.create_task(self._run(entry, model, slot), name=entry.job.id)
        # A coroutine that is cancelled before its first step never runs, and could not give the slot back.
        entry.runner.add_done_callback(lambda _: slot.release())

    async def _run(self, entry: Entry, model: ModelLifecycle, slot: Slot) -> None:
        """Run a job once; end it, or queue its retry."""
        job = entry.job
        try:
            made = await self._remove(entry, model, slot)
            await _finish_anyway(self._complete(entry, model, made))
        except WorkerReplaced:  # on request: that is not the job's fault
            await self._spool.unmark_attempt(job)
            self._retry(entry, job)
        except WorkerFailed as error:
            if self._closed and self._keeps(entry):
                await self._suspend(entry)
            elif not slot.loaded and model.pool.has_alternative(slot.worker):
                await self._spool.unmark_attempt(job)
                entry.avoided = slot.worker
                self._retry(entry, job)
            elif job.attempt + 1 == MAX_ATTEMPTS:
                await self._fail(entry, error)
            else:
                log.warning("removal will be repeated", extra={"task_id": job.id, "reason": error.code})
                entry.avoided = slot.worker
                self._retry(entry, replace(job, attempt=job.attempt + 1, exclusive=True))
        except BgremoveError as error:
            await self._fail(entry, error)
        except asyncio.CancelledError:
            await self._stop(entry)
        except Exception:
            log.exception("removal failed", extra={"task_id": job.id})
            await self._fail(entry, BgremoveError())

    async def _remove(self, entry: Entry, model: ModelLifecycle, slot: Slot) -> RemovalResult:
        task = entry.task

        def on_progress(percent: float, message: str) -> None:
            loading = slot.worker.model_info is None
            task.progress(percent * DECODE_PERCENT / 100 if loading else percent, message)

        if slot.worker.model_info is None:
            await model.fetch_files(on_progress)
        await self._spool.mark_attempt(entry.job)
        return await slot.run(self._spool.message(entry.job), on_progress)

    def _retry(self, entry: Entry, job: Job) -> None:
        """Queue a job again, before all others."""
        entry.job = job
        entry.runner = None
        self.queue.put_first(job)
        self._wake.set()

    async def _complete(self, entry: Entry, model: ModelLifecycle, made: RemovalResult) -> None:
        await self._ends.commit(entry, model.pool.name, made)
        self._forget(entry)
        self._ends.succeed(entry)

    async def _fetch(self, entry: Entry) -> None:
        """Fetch a job's remote images, then queue the job."""
        try:
            entry.task.progress(0, "Fetching the image")
            entry.job = await self._fetcher.fetch_images(entry.job)
            await self._spool.update(entry.job)
        except asyncio.CancelledError:
            await self._stop(entry)
        except BgremoveError as error:
            await self._fail(entry, error)
        except Exception:
            log.exception("image fetch failed", extra={"task_id": entry.job.id})
            await self._fail(entry, BgremoveError())
        else:
            entry.runner = None
            self._enqueue(entry)

    async def _stop(self, entry: Entry) -> None:
        """Stop a job that a client cancelled, or that the end of the service interrupts."""
        if not self._closed:
            await self._fail(entry, Cancelled())
        elif self._keeps(entry):
            await self._suspend(entry)
        else:
            await self._fail(entry, Stopping())

    async def _suspend(self, entry: Entry) -> None:
        self._forget(entry)
        await self._ends.suspend(entry)

    async def _cancel_for_client(self, entry: Entry) -> None:
        """Cancel a job. Raises Stopping at the end of the service, which leaves it for the next start."""
        if self._closed and self._keeps(entry):
            raise Stopping
        await self._cancel(entry)

    async def _cancel(self, entry: Entry) -> None:
        """Cancel a job in any state, and return when it has ended."""
        while entry.job.id in self._entries:
            if entry.runner is None:
                await self._stop(entry)
            else:
                await asyncio.sleep(0)  # a coroutine that never took its first step could not end the job
                runner = entry.runner
                if runner is not None:
                    runner.cancel()
                    await asyncio.wait([runner])
        await entry.task.wait()

    async def _fail(self, entry: Entry, failure: BgremoveError) -> None:
        self._forget(entry)
        await self._ends.fail(entry, failure, is_closing=self._closed)

    def _forget(self, entry: Entry) -> None:
        """Give back the place of a job that ends, or is left in the spool."""
        self.queue.finish(entry.job.id)
        del self._entries[entry.job.id]
        self._update_positions()


async def _finish_anyway(action: Coroutine[Any, Any, None]) -> None:
    """Await an action to its end, even when cancelled: half a commit would leave a job with two ends."""
    running = asyncio.ensure_future(action)
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        await running
