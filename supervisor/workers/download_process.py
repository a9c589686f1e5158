"""One download of a model, in a child process that can be killed."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from shared.errors import BgremoveError, DownloadFailed, error_from
from shared.messages import DownloadConfig, Downloaded, Downloading, Event, NotDownloaded
from supervisor.workers.deadline import Deadline
from supervisor.workers.process import WorkerProcess, how_ended
from supervisor.workers.stderr_tail import delete, last_line

ENTRY = "worker.download.download_main:serve"
SILENCE_TIMEOUT_S = 60.0  # a progress event is due every three seconds

# Called with the percentage, 0 to 100, the message, and whether the message is transient.
OnDownloading = Callable[[float, str, bool], None]


class DownloadProcess:
    """Downloads a model's files, and calls `on_end` once with the error that prevented it, None for success.

    `on_end` is called on the event loop, when the process is reaped. A `cancel` is reported as its error.
    """

    def __init__(
        self,
        config: DownloadConfig,
        log_path: Path,
        on_progress: OnDownloading,
        on_end: Callable[[BgremoveError | None], None],
    ) -> None:
        self._log_path = log_path
        self._on_progress = on_progress
        self._on_end = on_end
        self._outcome: Downloaded | BgremoveError | None = None
        self._exited = asyncio.Event()
        self._process = WorkerProcess(ENTRY, config, log_path, self._handle_events, self._handle_exit)
        self._deadline = Deadline(SILENCE_TIMEOUT_S, self._give_up)

    async def cancel(self, error: BgremoveError) -> None:
        """Kill the process and wait until it is reaped; it ends with `error` unless it had ended before."""
        if self._outcome is None:
            self._outcome = error
        self._process.kill()
        await self._exited.wait()

    def _handle_events(self, events: list[Event]) -> None:
        self._deadline.cancel()
        self._deadline = Deadline(SILENCE_TIMEOUT_S, self._give_up)
        for event in events:
            match event:
                case Downloading(percent, message, transient):
                    self._on_progress(percent, message, transient)
                case Downloaded() if self._outcome is None:
                    self._outcome = event
                case NotDownloaded(code, detail) if self._outcome is None:
                    self._outcome = error_from(code, detail)
                case _:
                    pass

    def _give_up(self) -> None:
        if self._outcome is None:
            self._outcome = DownloadFailed(
                f"The download process sent no progress for {SILENCE_TIMEOUT_S:g} s and was ended."
            )
        self._process.kill()

    def _handle_exit(self, code: int | None) -> None:
        self._deadline.cancel()
        outcome = self._outcome or self._diagnose(code)
        delete(self._log_path)
        self._on_end(outcome if isinstance(outcome, BgremoveError) else None)
        self._exited.set()

    def _diagnose(self, code: int | None) -> BgremoveError:
        """Return why a process ended that reported no outcome; code None: it was never spawned."""
        if code is None:
            return DownloadFailed(f"The download process could not be started: {self._process.spawn_error}.")
        return DownloadFailed(f"The download ended {how_ended(code)}: {last_line(self._log_path)}")
