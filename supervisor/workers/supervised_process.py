"""A supervised process: at most one live process of a worker, with back-off and a circuit breaker."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from shared.errors import WorkerReplaced, WorkerStartFailed
from supervisor.platform.private_dir import make_private_dir
from supervisor.workers.handle import WorkerHandle
from supervisor.workers.restart_policy import RestartPolicy
from supervisor.workers.spec import WorkerExit, WorkerSpec
from supervisor.workers.state import WorkerEvent, WorkerState, transition

SUSPENDED = (
    "The worker crashed repeatedly; automatic restarts are suspended. Retry in a few minutes, or POST "
    "/api/v1/worker/restart."
)
_UNSAFE = re.compile(r"[^\w.@-]")  # in a file's name, on any system
log = logging.getLogger("supervisor.worker")
MESSAGES = {
    WorkerEvent.START: "process starting",
    WorkerEvent.LOADED: "model loaded",
    WorkerEvent.KILL: "process stopping",
    WorkerEvent.EXITED: "process stopped",
    WorkerEvent.RESET: "failure reset",
}


class Owner(Protocol):
    """The worker whose process it is."""

    @property
    def name(self) -> str:
        """The worker's id, for logs."""

    def runs_exclusive_job(self) -> bool:
        """Whether the only job is one that has killed a process before."""

    def handle_change(self) -> None:
        """Note that the state of the process has changed."""


class SupervisedProcess:
    """Starts a process on demand, and remembers how the last one ended.

    `prepare` returns how to start the process, before every start. The `owner` is notified of each change of
    `state`, which happens on the event loop, through the one transition table.
    """

    def __init__(self, owner: Owner, prepare: Callable[[], Awaitable[WorkerSpec]], log_folder: Path) -> None:
        self.state = WorkerState.STOPPED
        self.starts = 0
        self.last_exit: WorkerExit | None = None
        self.handle: WorkerHandle | None = None
        self.policy = RestartPolicy()
        self._owner = owner
        self._prepare = prepare
        self._log_folder = log_folder
        self._starting = asyncio.Lock()

    @property
    def problem(self) -> str | None:
        """Why no process is started any more, in a sentence; None where one would be."""
        if not self.policy.circuit_open:
            return None
        return f"{SUSPENDED} {self.last_exit.detail if self.last_exit else ''}".strip()

    async def ensure(self) -> WorkerHandle:
        """Return the handle of the live process, started after the back-off if there is none.

        Raises WorkerStartFailed.
        """
        async with self._starting:
            handle = self.handle
            if handle is not None and handle.terminating:
                await handle.exited.wait()
                handle = self.handle
            if handle is None:
                if self.problem is not None:
                    raise WorkerStartFailed(self.problem)
                await asyncio.sleep(self.policy.wait_s)
                handle = self._start(await self._prepare())
            return handle

    def kill(self, cause: WorkerReplaced) -> None:
        """Kill the process, if there is one; it is reaped later."""
        if self.handle is not None:
            self.handle.kill(cause)

    async def stop(self, cause: str) -> bool:
        """Kill the process for this cause and wait until it is reaped; False where none ran."""
        handle = self.handle
        if handle is None:
            if self.state is WorkerState.FAILED:
                self._change(WorkerEvent.RESET)
            return False
        handle.kill(WorkerReplaced(f"The worker process was stopped: {cause}."))
        await handle.exited.wait()
        return True

    @asynccontextmanager
    async def hold_stopped(self) -> AsyncIterator[bool]:
        """Keep the process stopped for the length of a block, which gets whether its model was loaded."""
        async with self._starting:
            loaded = self.state in (WorkerState.STARTING, WorkerState.READY, WorkerState.BUSY)
            await self.stop("installation of packages")
            yield loaded

    def _start(self, spec: WorkerSpec) -> WorkerHandle:
        folder = make_private_dir(self._log_folder)
        number = self.starts + 1
        try:
            log_path = folder / f"{_UNSAFE.sub('-', self._owner.name)}-{number}.log"
            handle = WorkerHandle(number, spec, log_path, self._change)
        except (OSError, RuntimeError) as error:  # the supervisor's own descriptors or threads have run out
            self.policy.record_spawn_failure()
            raise WorkerStartFailed(f"The worker process could not be started: {error}.") from error
        self.starts, self.handle = number, handle
        self._change(WorkerEvent.START)
        return handle

    def _change(self, event: WorkerEvent) -> None:
        before, self.state = self.state, transition(self.state, event)
        pid = self.handle.pid if self.handle else None
        self._log_change(event, pid)
        if event is WorkerEvent.EXITED and self.handle is not None:
            self.last_exit, self.handle = self.handle.exit, None
            if self.state is WorkerState.FAILED and self.last_exit is not None:
                self._record_death(self.last_exit, had_jobs=before is WorkerState.BUSY)
        self._owner.handle_change()

    def _log_change(self, event: WorkerEvent, pid: int | None) -> None:
        """Log a start, a load and an end with its cause; the death of a process has a line of its own."""
        details: dict[str, object] = {"worker": self._owner.name, "state": self.state}
        if pid is not None:  # a start has none yet
            details["pid"] = pid
        if event is WorkerEvent.KILL and self.handle is not None:
            details["cause"] = self.handle.cause
        if event in MESSAGES and self.state is not WorkerState.FAILED:
            log.info(MESSAGES[event], extra=details)
        else:
            log.debug("state changed", extra=details | {"event": event})

    def _record_death(self, last: WorkerExit, *, had_jobs: bool) -> None:
        if last.code is None:
            self.policy.record_spawn_failure()
        elif had_jobs:
            self.policy.record_job_death(alone=self._owner.runs_exclusive_job())
        else:
            self.policy.record_load_death()
        details = {"pid": last.pid, "code": last.code, "reason": last.reason, "detail": last.detail}
        tail = "\n".join(last.stderr)
        log.warning("worker died", extra={"worker": self._owner.name, **details, "stderr_tail": tail})
