"""Downloads of the chosen model: one at a time, each in a process of its own that can be killed."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from shared.errors import (
    BgremoveError,
    Cancelled,
    DownloadFailed,
    ModelUnusable,
    Stopping,
    error_from,
)
from shared.messages import DownloadConfig, Downloaded, Downloading, Event, NotDownloaded
from supervisor.jobs.task import OnProgress, Task, TaskKind, TaskStore
from supervisor.models.store import ModelStore
from supervisor.platform.private_dir import make_private_dir
from supervisor.workers.deadline import Deadline
from supervisor.workers.process import WorkerProcess, how_ended
from supervisor.workers.stderr_tail import drop, last_line

ENTRY = "worker.download.download_main:serve"
FOLLOW_INTERVAL_S = 0.3
SILENCE_TIMEOUT_S = 60.0  # a sign of life is due every three seconds
log = logging.getLogger("supervisor.downloads")


class Downloads:
    """Starts a download, follows it, and says how the last one ended. Lives on the event loop."""

    def __init__(self, tasks: TaskStore, store: ModelStore, log_folder: Path) -> None:
        self.error: str | None = None  # why the last download failed, in a sentence
        self._tasks = tasks
        self._store = store
        self._log_folder = log_folder
        self._current: _Download | None = None
        self._closed = False

    @property
    def current(self) -> Task | None:
        """The download under way."""
        return self._current.task if self._current else None

    def start(self) -> Task | None:
        """Start a download and return its task, the one under way if there is one; None when downloaded.

        Raises ModelUnusable for a folder of the user's own that holds no model, StorageFailed or Stopping.
        """
        if self._closed:
            raise Stopping
        if self._current is not None:
            return self._current.task
        if self._store.downloaded:
            return None
        config = self._config()
        folder = make_private_dir(self._log_folder)
        self.error = None
        task = self._tasks.create(TaskKind.DOWNLOAD)
        try:
            self._current = _Download(task, config, folder / f"{task.id}.log", self._ended)
        except Exception:
            self._tasks.forget(task)
            raise
        return task

    async def ensure(self, on_progress: OnProgress) -> Path:
        """Return the folder of the model's files, downloaded first where they are missing.

        Raises the error that a download ended with. Cancelling leaves the download running.
        """
        task = self.start()
        if task is not None:
            async for update in task.updates(FOLLOW_INTERVAL_S):
                on_progress(update["percent"], update["message"])
            task.raise_failure()
        folder = await asyncio.to_thread(self._store.snapshot)
        if folder is None:
            raise DownloadFailed("The model's files were changed while they were downloaded.")
        return folder

    async def close(self) -> None:
        """Start no more, and end the download under way; the next one goes on with what is there."""
        self._closed = True
        if self._current is not None:
            await self._current.cancel()

    def _config(self) -> DownloadConfig:
        store = self._store
        if store.spec.repo_id is None or store.revision is None:
            raise ModelUnusable("The model's folder has no *.safetensors file.")
        return DownloadConfig(store.spec.repo_id, store.revision, str(store.root), store.needs_code)

    def _ended(self, error: BgremoveError | None) -> None:
        self._current = None
        if error is not None and not isinstance(error, Cancelled):
            self.error = error.detail
            log.warning("download failed", extra={"code": error.code, "detail": error.detail})


class _Download:
    """One process, from its start to the end of its task."""

    def __init__(
        self,
        task: Task,
        config: DownloadConfig,
        log_path: Path,
        on_end: Callable[[BgremoveError | None], None],
    ) -> None:
        self.task = task
        self._log_path = log_path
        self._on_end = on_end
        self._outcome: Downloaded | BgremoveError | None = None
        self._exited = asyncio.Event()
        self._process = WorkerProcess(ENTRY, config, log_path, self._handle, self._finish)
        self._deadline = self._next_deadline()
        task.cancel = self.cancel

    async def cancel(self) -> None:
        """Kill the process and wait until it is reaped."""
        if self._outcome is None:
            self._outcome = Cancelled()
        self._process.kill()
        await self._exited.wait()

    def _handle(self, events: list[Event]) -> None:
        self._deadline.cancel()
        self._deadline = self._next_deadline()
        for event in events:
            match event:
                case Downloading(percent, message, passing):
                    self.task.progress(percent, message, passing=passing)
                case Downloaded() if self._outcome is None:
                    self._outcome = event
                case NotDownloaded(code, detail) if self._outcome is None:
                    self._outcome = error_from(code, detail)
                case _:
                    pass

    def _next_deadline(self) -> Deadline:
        return Deadline(SILENCE_TIMEOUT_S, self._give_up)

    def _give_up(self) -> None:
        if self._outcome is None:
            said = f"The process that downloads said nothing for {SILENCE_TIMEOUT_S:g} s and was ended."
            self._outcome = DownloadFailed(said)
        self._process.kill()

    def _finish(self, code: int | None) -> None:
        self._deadline.cancel()
        outcome = self._outcome or self._diagnosis(code)
        drop(self._log_path)
        error = outcome if isinstance(outcome, BgremoveError) else None
        self._on_end(error)
        if error is None:
            self.task.complete("Model downloaded")
        else:
            self.task.fail(error)
        self._exited.set()

    def _diagnosis(self, code: int | None) -> BgremoveError:
        """Tell why a process ended that said nothing."""
        if code is None:
            return DownloadFailed("The process that downloads could not be started.")
        return DownloadFailed(f"The download ended {how_ended(code)}: {last_line(self._log_path)}")
