"""The ends of jobs: recorded in the spool first, then told to the client."""

import asyncio
import contextlib
import time
from dataclasses import dataclass

from shared.errors import BgremoveError
from shared.messages import RemovalResult
from supervisor.jobs.job import RESULT, Job
from supervisor.jobs.removal_log import log_failure, log_success
from supervisor.jobs.result import STEPS
from supervisor.jobs.spool import Spool
from supervisor.jobs.webhook import Webhooks
from supervisor.observability.metrics import Metrics
from supervisor.tasks.task import Task
from supervisor.workers.worker import Worker


@dataclass(slots=True)
class Entry:
    """A job that has not ended, its task, and the coroutine that fetches or runs it, if one does."""

    job: Job
    task: Task
    runner: asyncio.Task[None] | None = None
    submitted_at_s: float = 0.0
    started_at_s: float = 0.0
    overtaken_by: int = 0  # jobs that were started before it while its model had no room
    avoided: Worker | None = None  # the worker whose process died


class JobEnds:
    """Ends jobs that the dispatcher has taken out of its queue."""

    def __init__(self, spool: Spool, metrics: Metrics, webhooks: Webhooks) -> None:
        self._spool = spool
        self._metrics = metrics
        self._webhooks = webhooks

    async def commit(self, entry: Entry, model: str, made: RemovalResult) -> None:
        """Record the result that a worker of `model` has made, with its times. Raises StorageFailed."""
        waited_ms = (entry.started_at_s - entry.submitted_at_s) * 1000
        total_ms = (time.monotonic() - entry.submitted_at_s) * 1000
        queued_ms = waited_ms + made.timings_ms.get("queued", 0)  # here, and in the worker
        spent_ms = made.timings_ms | {"queued": queued_ms, "total": total_ms}
        timings_ms = {step: round(spent_ms[step], 1) for step in STEPS if step in spent_ms}
        await self._spool.finish(entry.job, made, timings_ms, entry.task.payload()["logs"])
        self._metrics.observe_timings(model, timings_ms)
        size_bytes = None
        with contextlib.suppress(OSError):  # deleted already
            size_bytes = self._spool.path(entry.job.id, RESULT).stat().st_size
        log_success(entry.job, model, made, timings_ms, size_bytes)

    def succeed(self, entry: Entry) -> None:
        """Tell the client that its result is there."""
        self._metrics.count_removal(None)
        entry.task.complete("Background removed")
        self._notify(entry)

    async def fail(self, entry: Entry, failure: BgremoveError, *, is_closing: bool) -> None:
        """End a job with an error: its files are deleted before the client learns of it.

        `is_closing`: the service ends, which is no failure to log, and no end to POST.
        """
        self._metrics.count_removal(failure.code)
        if not is_closing:
            log_failure(entry.job, failure, time.monotonic() - entry.submitted_at_s)
        try:
            await self._spool.fail(entry.job, failure, entry.task.payload()["logs"])
        finally:
            entry.task.fail(failure)
            if not is_closing:
                self._notify(entry)

    async def suspend(self, entry: Entry) -> None:
        """Leave a job in the spool, to be queued again after a restart."""
        if entry.runner is not None:
            await self._spool.unmark_attempt(entry.job)
        entry.task.detach()

    def _notify(self, entry: Entry) -> None:
        if entry.job.callback is not None:
            self._webhooks.notify(entry.job, entry.task)
