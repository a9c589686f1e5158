"""What one worker process owes the supervisor: its readiness, its answers, and the story of its end."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from shared.errors import (
    BgremoveError,
    OutOfMemory,
    StorageFailed,
    WorkerCrashed,
    WorkerReplaced,
    WorkerStartFailed,
    WorkerTimeout,
    error_from,
)
from shared.messages import (
    Cancel,
    Event,
    Failed,
    Finished,
    LoadFailed,
    Loading,
    ModelInfo,
    Progress,
    Ready,
    RemovalJob,
    RemovalResult,
    Remove,
    WorkerConfig,
)
from supervisor.jobs.task import OnProgress
from supervisor.platform.process_memory import oom_kills
from supervisor.workers.deadline import Deadline
from supervisor.workers.process import WorkerProcess, how_ended, signal_name
from supervisor.workers.state import WorkerEvent
from supervisor.workers.stderr_tail import drop, last_line, tail

CANCEL_GRACE_S = 2.0
SIGKILL_EXIT = -9
LOGGED = frozenset({BgremoveError.code, StorageFailed.code})  # of a removal's errors, by the worker itself
log = logging.getLogger("supervisor.worker")


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """How to start a worker: "package.module:function", what to tell it, and how long it may take."""

    entry: str
    config: WorkerConfig
    start_timeout_s: float
    load_timeout_s: float
    job_timeout_s: float


@dataclass(frozen=True, slots=True)
class WorkerExit:
    """How a worker process ended. `reason` is a code of `shared.errors`."""

    generation: int
    pid: int | None
    code: int | None
    signal: str | None
    reason: str
    detail: str
    stderr: list[str]
    at: str


class WorkerHandle:
    """One process, what is awaited from it, and one deadline for each thing awaited.

    Everything awaited fails when the process ends, so that no caller waits in vain.
    """

    def __init__(
        self,
        number: int,
        spec: WorkerSpec,
        log_path: Path,
        on_change: Callable[[WorkerEvent], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.number = number
        self.model_info: ModelInfo | None = None
        self.exit: WorkerExit | None = None
        self.exited = asyncio.Event()
        self._spec = spec
        self._log_path = log_path
        self._on_change = on_change
        self._ready: asyncio.Future[ModelInfo] = self._loop.create_future()
        self._answers: dict[str, asyncio.Future[RemovalResult]] = {}
        self._listeners: dict[str, OnProgress] = {}
        self._load_listeners: list[OnProgress] = []
        self._cause: BgremoveError | None = None
        self._oom_kills_before = oom_kills()
        self._process = WorkerProcess(spec.entry, spec.config, log_path, self._handle, self._ended)
        self._load_deadline = self._deadline(spec.start_timeout_s, "did not start")

    @property
    def pid(self) -> int | None:
        """The process id, while there is a process."""
        return None if self.exited.is_set() else self._process.pid

    @property
    def doomed(self) -> bool:
        """Whether the process was killed or has ended."""
        return self._cause is not None or self.exited.is_set()

    async def ready(self, on_loading: OnProgress) -> ModelInfo:
        """Wait until the model is loaded. Raises the error that prevented it."""
        self._load_listeners.append(on_loading)
        try:
            return await asyncio.shield(self._ready)
        finally:
            self._load_listeners.remove(on_loading)

    async def remove(self, job: RemovalJob, on_progress: OnProgress) -> RemovalResult:
        """Have one photo cut out. Raises the photo's own error, or a WorkerFailed when the process ends.

        Cancelling stops the removal between its steps, or kills the process after two seconds.
        """
        if self.doomed:
            raise await self._end()
        if not self._answers:
            self._on_change(WorkerEvent.JOB_STARTED)
        answer: asyncio.Future[RemovalResult] = self._loop.create_future()
        self._answers[job.task_id] = answer
        self._listeners[job.task_id] = on_progress
        # It may have to wait until those before it are through, and each of them has as long.
        deadline = self._deadline(self._spec.job_timeout_s * len(self._answers), "did not finish a removal")
        try:
            self._process.send(Remove(job))
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            await self._abandon(job.task_id, answer)
            raise
        finally:
            deadline.cancel()
            del self._answers[job.task_id], self._listeners[job.task_id]
            if not self._answers and not self.doomed:
                self._on_change(WorkerEvent.JOBS_DONE)

    def kill(self, cause: BgremoveError) -> None:
        """Kill the process; `cause` is what everything awaited from it fails with."""
        if not self.doomed:
            self._cause = cause
            if isinstance(cause, WorkerReplaced):
                self._on_change(WorkerEvent.KILL)
            self._process.kill()

    async def _end(self) -> BgremoveError:
        await self.exited.wait()
        return error_from(self.exit.reason, self.exit.detail) if self.exit else WorkerCrashed()

    async def _abandon(self, task_id: str, answer: asyncio.Future[RemovalResult]) -> None:
        self._process.send(Cancel(task_id))
        await asyncio.wait([answer], timeout=CANCEL_GRACE_S)
        if not answer.done():
            self.kill(WorkerReplaced())
            await self.exited.wait()
        _retrieve(answer)

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Loading(percent, message):
                    self._load_deadline.cancel()
                    self._load_deadline = self._deadline(self._spec.load_timeout_s, "stopped loading")
                    for listener in self._load_listeners:
                        listener(percent, message)
                case Ready(model) if not self._ready.done() and not self.doomed:
                    self._load_deadline.cancel()
                    self.model_info = model
                    self._ready.set_result(model)
                    self._on_change(WorkerEvent.LOADED)
                case LoadFailed(code, detail):
                    self.kill(error_from(code, detail))
                case Progress(task_id, percent, message) if task_id in self._listeners:
                    self._listeners[task_id](percent, message)
                case Finished(task_id, result) if task_id in self._answers:
                    _settle(self._answers[task_id], result)
                case Failed(task_id, code, detail) if task_id in self._answers:
                    _settle(self._answers[task_id], self._error(task_id, code, detail))
                case _:
                    pass  # a late answer: whoever waited for it is gone

    def _error(self, task_id: str, code: str, detail: str) -> BgremoveError:
        """Return a removal's error; what the process has logged of it is told on: its log goes with it."""
        if code in LOGGED:
            said = "\n".join(tail(self._log_path))
            log.warning("removal failed in the worker", extra={"task_id": task_id, "said": said})
        return error_from(code, detail)

    def _ended(self, code: int | None) -> None:
        self._load_deadline.cancel()
        error = self._cause or self._diagnosis(code)
        self.exit = WorkerExit(
            generation=self.number,
            pid=self._process.pid,
            code=code,
            signal=signal_name(code),
            reason=error.code,
            detail=error.detail,
            stderr=tail(self._log_path),
            at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )
        drop(self._log_path)
        _settle(self._ready, error)
        for answer in self._answers.values():
            _settle(answer, error)
        self.exited.set()
        _retrieve(self._ready)
        self._on_change(WorkerEvent.EXITED)

    def _diagnosis(self, code: int | None) -> BgremoveError:
        """Tell from the exit code why a process ended that nobody asked to end; None: it never came up."""
        if code is None:
            return WorkerStartFailed()
        if code == SIGKILL_EXIT and oom_kills() != self._oom_kills_before:
            return OutOfMemory("The system ran out of memory and killed the worker.")
        how = how_ended(code)
        if self.model_info is None:
            last = last_line(self._log_path)
            return WorkerStartFailed(f"The worker ended {how} before it was ready: {last}")
        return WorkerCrashed(f"The worker ended {how}.")

    def _deadline(self, timeout_s: float, what: str) -> Deadline:
        error = WorkerTimeout(f"The worker {what} within {timeout_s:g} s and was ended.")
        return Deadline(timeout_s, partial(self.kill, error))


def _settle(future: asyncio.Future[Any], outcome: ModelInfo | RemovalResult | BgremoveError) -> None:
    if future.done():
        return
    if isinstance(outcome, BgremoveError):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def _retrieve(future: asyncio.Future[Any]) -> None:
    """Mark a future's error as seen: nobody may be waiting for it any more."""
    if future.done() and not future.cancelled():
        future.exception()
