"""Diagnoses why a worker process ended: an error at its start, a crash, or the system's lack of memory."""

from datetime import UTC, datetime
from pathlib import Path

from shared.errors import BgremoveError, OutOfMemory, WorkerCrashed, WorkerStartFailed
from supervisor.platform.process_memory import oom_kills
from supervisor.workers.process import WorkerProcess, how_ended, signal_name
from supervisor.workers.spec import WorkerExit
from supervisor.workers.stderr_tail import last_line, read_tail

SIGKILL_EXIT = -9


class ExitDiagnosis:
    """Made when a process starts, to compare the count of out-of-memory kills with that at its end."""

    def __init__(self, log_path: Path) -> None:
        self._log_path = log_path
        self._oom_kills_before = oom_kills()

    def explain(self, process: WorkerProcess, code: int | None, *, loaded: bool) -> BgremoveError:
        """Return why a process ended that was not killed on request; code None: it was never spawned."""
        if code is None:
            return WorkerStartFailed(f"The worker process could not be started: {process.spawn_error}.")
        if code == SIGKILL_EXIT and oom_kills() != self._oom_kills_before:
            return OutOfMemory("The system ran out of memory and killed the worker.")
        how = how_ended(code)
        if not loaded:
            last = last_line(self._log_path)
            return WorkerStartFailed(f"The worker ended {how} before it was ready: {last}")
        return WorkerCrashed(f"The worker ended {how}.")

    def describe(
        self, generation: int, process: WorkerProcess, code: int | None, error: BgremoveError
    ) -> WorkerExit:
        """Return the data about a process's end, for the status and the log."""
        return WorkerExit(
            generation=generation,
            pid=process.pid,
            code=code,
            signal=signal_name(code),
            reason=error.code,
            detail=error.detail,
            stderr=read_tail(self._log_path),
            at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )
