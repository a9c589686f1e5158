"""Handle of one worker process: readiness, jobs in flight, timeouts."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from shared.errors import (
    BgremoveError,
    StorageFailed,
    WorkerCrashed,
    WorkerReplaced,
    WorkerTimeout,
    error_from,
)
from shared.messages import (
    Cancel,
    DeviceSelected,
    Event,
    Failed,
    Finished,
    LoadFailed,
    Loading,
    ModelInfo,
    NodeChanged,
    NodeStatus,
    Progress,
    Ready,
    RemovalJob,
    RemovalResult,
    Remove,
    Resized,
)
from supervisor.workers.deadline import Deadline
from supervisor.workers.exit_diagnosis import ExitDiagnosis
from supervisor.workers.in_flight import InFlight, mark_retrieved, settle
from supervisor.workers.process import WorkerProcess
from supervisor.workers.spec import OnProgress, WorkerExit, WorkerSpec
from supervisor.workers.state import WorkerEvent
from supervisor.workers.stderr_tail import delete, read_tail

CANCEL_GRACE_S = 2.0
# Errors of a job that the worker process has logged with their cause.
LOGGED = frozenset({BgremoveError.code, StorageFailed.code})
log = logging.getLogger("supervisor.worker")


class WorkerHandle:
    """Handle of one process: awaits its readiness and its jobs' answers, each with a timeout.

    Everything awaited fails when the process ends. `on_change` gets the events of the worker's state machine.
    """

    def __init__(
        self, generation: int, spec: WorkerSpec, log_path: Path, on_change: Callable[[WorkerEvent], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.generation = generation
        self.model_info: ModelInfo | None = None
        self.selected: DeviceSelected | None = None
        self.exit: WorkerExit | None = None
        self.exited = asyncio.Event()
        self._spec = spec
        self._log_path = log_path
        self._on_change = on_change
        self._ready: asyncio.Future[ModelInfo] = self._loop.create_future()
        self._in_flight: dict[str, InFlight] = {}
        self._nodes: dict[str, NodeStatus] = {}
        self._load_listeners: list[OnProgress] = []
        self._cause: BgremoveError | None = None
        self._diagnosis = ExitDiagnosis(log_path)
        self._process = WorkerProcess(
            spec.entry, spec.config, log_path, self._handle_events, self._handle_exit
        )
        self._load_deadline = self._deadline(spec.start_timeout_s, "did not start")

    @property
    def pid(self) -> int | None:
        """The process id, while there is a process."""
        return None if self.exited.is_set() else self._process.pid

    @property
    def terminating(self) -> bool:
        """Whether the process was killed or has ended."""
        return self._cause is not None or self.exited.is_set()

    @property
    def cause(self) -> str | None:
        """Why the process was killed, in a sentence."""
        return self._cause.detail if self._cause else None

    @property
    def nodes(self) -> list[NodeStatus]:
        """The nodes of the cluster, if the process is the bridge to one."""
        return list(self._nodes.values())

    @property
    def abandoned(self) -> int:
        """How many cancelled jobs still run."""
        return sum(in_flight.abandoned for in_flight in self._in_flight.values())

    async def wait_ready(self, on_loading: OnProgress) -> ModelInfo:
        """Wait until the model is loaded. Raises the error that prevented it."""
        self._load_listeners.append(on_loading)
        try:
            return await asyncio.shield(self._ready)
        finally:
            self._load_listeners.remove(on_loading)

    async def run(self, job: RemovalJob, on_progress: OnProgress) -> RemovalResult:
        """Run a job. Raises the job's own error, or a WorkerFailed when the process ends.

        Cancelling stops the job at its next step. A job that has not stopped after two seconds costs the
        process its life if it is the only one there; else it runs on, without result.
        """
        if self.terminating:
            raise await self._exit_error()
        if not self._in_flight:
            self._on_change(WorkerEvent.JOB_STARTED)
        answer: asyncio.Future[RemovalResult] = self._loop.create_future()
        answer.add_done_callback(lambda _: self._forget(job.task_id))
        self._in_flight[job.task_id] = InFlight(answer, on_progress, self._start_deadline(job.task_id))
        try:
            self._process.send(Remove(job))
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            await self._abandon(job.task_id, answer)
            raise

    def kill(self, cause: BgremoveError) -> None:
        """Kill the process; everything awaited from it fails with `cause`."""
        if not self.terminating:
            self._cause = cause
            if isinstance(cause, WorkerReplaced):
                self._on_change(WorkerEvent.KILL)
            self._process.kill()

    async def _exit_error(self) -> BgremoveError:
        await self.exited.wait()
        return error_from(self.exit.reason, self.exit.detail) if self.exit else WorkerCrashed()

    async def _abandon(self, task_id: str, answer: asyncio.Future[RemovalResult]) -> None:
        self._process.send(Cancel(task_id))
        await asyncio.wait([answer], timeout=CANCEL_GRACE_S)
        if answer.done():
            return
        if len(self._in_flight) > 1:
            self._in_flight[task_id].abandoned = True
            log.info("cancelled removal runs on: other removals share its worker", extra={"task_id": task_id})
        else:
            self.kill(WorkerReplaced("The worker process was stopped: its removal was cancelled."))
            await self.exited.wait()

    def _forget(self, task_id: str) -> None:
        in_flight = self._in_flight.pop(task_id)
        in_flight.deadline.cancel()
        mark_retrieved(in_flight.answer)
        if self.terminating:
            return
        if not self._in_flight:
            self._on_change(WorkerEvent.JOBS_DONE)
        elif in_flight.abandoned:
            self._on_change(WorkerEvent.SLOT_FREED)

    def _handle_events(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Loading() | DeviceSelected() | Ready() | LoadFailed():
                    if not (self._ready.done() or self.terminating):
                        self._handle_load(event)
                case NodeChanged() | Resized():
                    self._handle_cluster(event)
                case Progress(task_id, percent, message) if task_id in self._in_flight:
                    self._handle_progress(self._in_flight[task_id], percent, message)
                case Finished(task_id, result) if task_id in self._in_flight:
                    settle(self._in_flight[task_id].answer, result)
                case Failed(task_id, code, detail) if task_id in self._in_flight:
                    self._handle_failure(self._in_flight[task_id], task_id, error_from(code, detail))
                case _:
                    pass  # a late answer, which nobody awaits any more

    def _handle_load(self, event: Loading | DeviceSelected | Ready | LoadFailed) -> None:
        match event:
            case Loading(percent, message):
                self._load_deadline.cancel()
                self._load_deadline = self._deadline(self._spec.load_timeout_s, "stopped loading")
                for listener in self._load_listeners:
                    listener(percent, message)
            case DeviceSelected():
                self.selected = event
                self._on_change(WorkerEvent.DEVICE_SELECTED)
            case Ready(model):
                self._load_deadline.cancel()
                self.model_info = model
                self._ready.set_result(model)
                self._on_change(WorkerEvent.LOADED)
            case LoadFailed(code, detail):
                self.kill(error_from(code, detail))

    def _handle_cluster(self, event: NodeChanged | Resized) -> None:
        if isinstance(event, NodeChanged):
            self._nodes[event.node.name] = event.node
        elif self.model_info is not None and not self.terminating:
            self.model_info = replace(self.model_info, max_concurrency=event.max_concurrency)
            self._on_change(WorkerEvent.RESIZED)

    def _handle_progress(self, in_flight: InFlight, percent: float, message: str) -> None:
        if not in_flight.started:  # the timeout of a job counts from its start in the worker
            in_flight.started = True
            in_flight.deadline.cancel()
            in_flight.deadline = self._job_deadline()
        in_flight.on_progress(percent, message)

    def _handle_failure(self, in_flight: InFlight, task_id: str, error: BgremoveError) -> None:
        if error.code in LOGGED and not in_flight.abandoned:  # before the process's log is deleted
            stderr_tail = "\n".join(read_tail(self._log_path))
            log.warning("removal failed in worker", extra={"task_id": task_id, "stderr_tail": stderr_tail})
        settle(in_flight.answer, error)

    def _handle_exit(self, code: int | None) -> None:
        self._load_deadline.cancel()
        loaded = self.model_info is not None
        error = self._cause or self._diagnosis.explain(self._process, code, loaded=loaded)
        self.exit = self._diagnosis.describe(self.generation, self._process, code, error)
        delete(self._log_path)
        settle(self._ready, error)
        for in_flight in list(self._in_flight.values()):
            settle(in_flight.answer, error)
        self.exited.set()
        mark_retrieved(self._ready)
        self._on_change(WorkerEvent.EXITED)

    def _start_deadline(self, task_id: str) -> Deadline:
        return Deadline(self._spec.job_timeout_s, partial(self._check_start, task_id))

    def _check_start(self, task_id: str) -> None:
        """Kill a process that starts no job. One job may wait until others have released their memory."""
        if any(in_flight.started for in_flight in self._in_flight.values()):
            self._in_flight[task_id].deadline = self._start_deadline(task_id)
        else:
            timeout_s = self._spec.job_timeout_s
            self.kill(WorkerTimeout(f"The worker started no removal within {timeout_s:g} s and was ended."))

    def _job_deadline(self) -> Deadline:
        return self._deadline(self._spec.job_timeout_s, "did not finish a removal")

    def _deadline(self, timeout_s: float, what: str) -> Deadline:
        error = WorkerTimeout(f"The worker {what} within {timeout_s:g} s and was ended.")
        return Deadline(timeout_s, partial(self.kill, error))
