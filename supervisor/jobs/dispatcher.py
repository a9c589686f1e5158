"""Removals: admitted into a bounded queue, run first in first out, tried again when a worker dies."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from shared.errors import BgremoveError, Cancelled, Expired, QueueFull, Stopping, WorkerStartFailed
from shared.formats import MEDIA_TYPES, SIGNATURE_BYTES, detect_format, result_name
from shared.messages import RemovalJob, RemovalResult
from shared.option_validation import validate_options
from shared.options import ModelChoice, RemovalOptions
from supervisor.jobs.filenames import name_stem
from supervisor.jobs.queue import Turn
from supervisor.jobs.spool import Result, Spool
from supervisor.jobs.task import Task, TaskKind, TaskStore
from supervisor.models.lifecycle import ModelLifecycle
from supervisor.observability.metrics import Metrics

STEPS = ("queued", "decode", "inference", "refine", "encode", "total")  # as they follow each other
DECODE_PERCENT = 5  # where the worker's own steps begin; before it, the worker itself is started
log = logging.getLogger("supervisor.removals")

# Brings the photo to the removal's source path, and returns the name that a person knows it by.
Source = Callable[[], Awaitable[str]]


@dataclass(slots=True)
class Removal:
    """One removal on its way through the queue."""

    task: Task
    folder: Path
    options: RemovalOptions
    model: ModelLifecycle
    admitted_at: float  # monotonic seconds
    has_background_file: bool = False

    @property
    def source(self) -> Path:
        """Where the photo is to be written."""
        return self.folder / "source"

    @property
    def background(self) -> Path:
        """Where the image is to be written that goes behind, if the options have one."""
        return self.folder / "background"

    @property
    def cutout(self) -> Path:
        """Where the worker writes the result."""
        return self.folder / "result"


class Removals:
    """Accepts removals, hands them to the workers, and keeps their results."""

    def __init__(
        self,
        tasks: TaskStore,
        results: Spool,
        choose: Callable[[ModelChoice], ModelLifecycle],
        metrics: Metrics,
        queue_limit: int,
        retention_s: float,
    ) -> None:
        self.queue_limit = queue_limit
        self._tasks = tasks
        self._results = results
        self._choose = choose
        self._metrics = metrics
        self._retention_s = retention_s
        self._closed = False
        self._admitted: set[str] = set()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._finished: dict[str, Result] = {}

    @property
    def queue_length(self) -> int:
        """How many removals are being received, wait or run."""
        return len(self._admitted)

    def admit(self, options: RemovalOptions, *, has_background_file: bool = False) -> Removal:
        """Take a place in the queue. Write the photo to the removal's `source`, then `start` it.

        Where the options have a `background_file`, under whatever name, that goes to its `background`.
        Raises InvalidOption, QueueFull, Stopping, StorageFailed, or WorkerStartFailed where none starts now.
        """
        validate_options(options, has_background_file=has_background_file)
        if self._closed:
            raise Stopping
        if self.queue_length >= self.queue_limit:
            self._metrics.ended(QueueFull.code)
            raise QueueFull(f"The queue is full with {self.queue_limit} removals; try again shortly.")
        model = self._choose(options.model)
        if model.worker.problem is not None:
            raise WorkerStartFailed(model.worker.problem)
        task = self._tasks.create(TaskKind.REMOVE)
        try:
            folder = self._results.make_folder(task.id)
        except BgremoveError:
            self._tasks.forget(task)
            raise
        self._admitted.add(task.id)
        removal = Removal(task, folder, options, model, time.monotonic())
        removal.has_background_file = has_background_file
        return removal

    async def abandon(self, removal: Removal) -> None:
        """Give back the place of a removal whose photo never came."""
        self._admitted.discard(removal.task.id)
        self._tasks.forget(removal.task)
        await self._results.drop(removal.task.id)

    def start(self, removal: Removal, source: Source) -> Task:
        """Queue an admitted removal and return its task."""
        task = removal.task
        self._running[task.id] = task.run(self._run(removal, source))
        return task

    def result(self, task: Task) -> Result:
        """Return the result of a removal that ended well. Raises Expired when its files are gone."""
        if task.id not in self._finished:
            raise Expired
        return self._finished[task.id]

    async def forget(self, task: Task) -> None:
        """Delete a finished removal's result and files."""
        self._finished.pop(task.id, None)
        await self._results.drop(task.id)

    async def close(self) -> None:
        """Accept no more, cancel every removal and wait for their ends."""
        self._closed = True
        await asyncio.sleep(0)  # cancelled before its first step, one would never run, and never end its task
        running = list(self._running.values())
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _run(self, removal: Removal, source: Source) -> None:
        """Take one removal from its photo to its end; the task tells clients how it went."""
        task = removal.task
        failure: BgremoveError | None = None
        try:
            if self._closed:
                raise Stopping  # noqa: TRY301  # it ends as any other does
            if task.finished:  # cancelled while its photo still came in
                raise Cancelled  # noqa: TRY301
            name = await source()
            async with removal.model.worker.turns.next() as turn:
                queued_s = time.monotonic() - removal.admitted_at
                made = await self._remove(removal, name_stem(name), turn)
            self._publish(removal, name, made, queued_s)
        except asyncio.CancelledError:
            failure = Stopping() if self._closed else Cancelled()
        except BgremoveError as error:
            failure = error
        except Exception:
            log.exception("removal failed", extra={"task_id": task.id})
            failure = BgremoveError()
        self._admitted.discard(task.id)
        self._metrics.ended(failure.code if failure else None)
        if failure and failure.status >= 500 and not self._closed:  # not the photo's fault, nor the client's
            told = {"task_id": task.id, "code": failure.code, "detail": failure.detail}
            log.warning("removal failed", extra={**told, "reason": failure.__cause__})
        try:
            if failure:  # whoever hears of the end finds nothing left behind
                await self._results.drop(task.id)
        finally:
            if failure:
                task.fail(failure)
            del self._running[task.id]

    async def _remove(self, removal: Removal, stem: str, turn: Turn) -> RemovalResult:
        def on_progress(percent: float, message: str) -> None:
            loading = removal.model.worker.model_info is None
            removal.task.progress(percent * DECODE_PERCENT / 100 if loading else percent, message)

        background = str(removal.background) if removal.has_background_file else None
        job = RemovalJob(
            removal.task.id, str(removal.source), str(removal.cutout), removal.options, background, stem
        )
        if removal.model.worker.model_info is None:
            await removal.model.fetch(on_progress)
        return await removal.model.worker.remove(job, on_progress, turn)

    def _publish(self, removal: Removal, name: str, made: RemovalResult, queued_s: float) -> None:
        task, options = removal.task, removal.options
        with removal.source.open("rb") as file:
            known = detect_format(file.read(SIGNATURE_BYTES))
        original = self._results.publish(
            task.id, removal.source, known.media_type if known else "application/octet-stream", name
        )
        result = self._results.publish(
            task.id,
            removal.cutout,
            MEDIA_TYPES[made.format],
            result_name(name_stem(name), options.output, made.format),
        )
        total_ms = (time.monotonic() - removal.admitted_at) * 1000
        queued_ms = queued_s * 1000 + made.timings_ms.get("queued", 0)  # here, and in the worker
        spent_ms = made.timings_ms | {"queued": queued_ms, "total": total_ms}
        timings_ms = {step: round(spent_ms[step], 1) for step in STEPS if step in spent_ms}
        self._metrics.timed(removal.model.worker.name, timings_ms)
        self._finished[task.id] = Result(
            task_id=task.id,
            status="complete",
            original_file_id=original.id,
            original_url=f"/api/v1/files/{original.id}",
            result_file_id=result.id,
            result_url=f"/api/v1/files/{result.id}",
            width=made.width,
            height=made.height,
            format=made.format,
            subject=made.subject,
            coverage=made.coverage,
            box=made.box,
            frame=made.frame,
            model_id=made.model_id,
            device=made.device,
            timings_ms=timings_ms,
            expires_at=round(time.time() + self._retention_s, 3),
        )
        task.complete("Background removed")
