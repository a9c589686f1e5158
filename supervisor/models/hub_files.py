"""A model's files from the hub, or in a place of the user's own: their download and deletion."""

import logging
from functools import partial
from pathlib import Path

from shared.errors import BgremoveError, Cancelled, DownloadFailed, ModelUnusable, StillRunning, Stopping
from shared.messages import DownloadConfig
from supervisor.models.model_files import follow
from supervisor.models.store import ModelStore
from supervisor.platform.private_dir import make_private_dir
from supervisor.tasks.task import Task, TaskKind
from supervisor.tasks.task_store import TaskStore
from supervisor.workers.download_process import DownloadProcess
from supervisor.workers.spec import OnProgress

log = logging.getLogger("supervisor.downloads")


class HubFiles:
    """The files of one model of the hub, one download at a time: ModelFiles. Lives on the event loop."""

    def __init__(self, tasks: TaskStore, store: ModelStore, log_folder: Path) -> None:
        self.spec = store.spec
        self.error: str | None = None  # why the last download failed, in a sentence
        self.store = store
        self._tasks = tasks
        self._log_folder = log_folder
        self._task: Task | None = None
        self._process: DownloadProcess | None = None
        self._closed = False

    @property
    def current(self) -> Task | None:
        """The running download's task."""
        return self._task if self._process else None

    @property
    def path(self) -> Path | None:
        """The folder or file that a worker loads, None where it was not complete at the last `refresh`."""
        return self.store.path

    @property
    def revision(self) -> str | None:
        """The branch, tag or commit on the hub."""
        return self.store.revision

    @property
    def commit(self) -> str | None:
        """The commit of the complete model, None for one of the user's own."""
        return self.store.commit

    async def refresh(self) -> Path | None:
        """Return the path, if the complete model is on disk now."""
        await self.store.refresh()
        return self.store.path

    async def start(self) -> Task | None:
        """Start a download and return its task, or the running one's; None if the model is downloaded.

        Raises ModelUnusable for a folder of the user's own that holds no model, StorageFailed or Stopping.
        """
        downloaded = await self.store.refresh() is not None
        if self._closed:
            raise Stopping
        if self._process is not None:
            return self._task
        return None if downloaded else self._begin()

    async def ensure(self, on_progress: OnProgress) -> None:
        """Wait until the model's files are on disk; download them first if they are missing.

        Raises the error that a download ended with. Cancelling leaves the download running.
        """
        task = await self.start()
        if task is not None:
            await follow(task, on_progress)
        if await self.store.refresh() is None:
            raise DownloadFailed("The model's files were changed while they were downloaded.")

    async def size_bytes(self) -> int:
        """Return the size of the downloaded files, which `delete` would free."""
        return await self.store.size_bytes()

    async def delete(self) -> int:
        """Delete the downloaded files and return their size in bytes.

        Raises StillRunning during a download, ModelUnusable for files of the user's own.
        """
        if self._process is not None:
            raise StillRunning("The model is being downloaded: cancel that first.")
        return await self.store.delete()

    async def close(self) -> None:
        """Reject further downloads, and kill the running one; a later download resumes it."""
        self._closed = True
        if self._process is not None:
            await self._process.cancel(Cancelled())

    def _begin(self) -> Task:
        config = self._config()
        folder = make_private_dir(self._log_folder)
        self.error = None
        task = self._tasks.create(TaskKind.DOWNLOAD)

        def on_progress(percent: float, message: str, transient: bool) -> None:  # noqa: FBT001  # as the event
            task.progress(percent, message, transient=transient)

        try:
            process = DownloadProcess(
                config, folder / f"{task.id}.log", on_progress, partial(self._finish, task)
            )
        except (OSError, RuntimeError) as error:  # descriptors or threads have run out
            self._tasks.discard(task)
            raise DownloadFailed(f"The download process could not be started: {error}.") from error
        task.cancel = partial(process.cancel, Cancelled())
        self._task, self._process = task, process
        return task

    def _config(self) -> DownloadConfig:
        store = self.store
        if store.spec.repo_id is None or store.revision is None:
            raise ModelUnusable(f"{store.spec.name} has no *.safetensors file: see BGREMOVE_MODEL.")
        return DownloadConfig(store.spec.repo_id, store.revision, str(store.root), store.needs_code)

    def _finish(self, task: Task, error: BgremoveError | None) -> None:
        self._process = None
        if error is None:
            task.complete("Model downloaded")
            return
        if not isinstance(error, Cancelled):
            self.error = error.detail
            log.warning("download failed", extra={"error": error.code, "reason": error.detail})
        task.fail(error)
