"""Model lifecycle: load, unload and restart on request. A loaded model is a live worker process."""

import asyncio
import logging

from typing_extensions import TypedDict

from shared.errors import BgremoveError, Cancelled, ModelUnavailable, Stopping, WorkerReplaced
from supervisor.models.model_files import ModelFiles
from supervisor.tasks.task import Task, TaskKind
from supervisor.tasks.task_store import TaskStore
from supervisor.workers.pool import WorkerPool
from supervisor.workers.spec import OnProgress

log = logging.getLogger("supervisor.models")


class Unloaded(TypedDict):
    """Whether a model was unloaded, and the bytes of memory released."""

    unloaded: bool
    freed_bytes: int | None


class ModelLifecycle:
    """Loads, unloads and restarts one model's workers; one load at a time.

    `may_download`: a removal that needs the model's files downloads them.
    """

    def __init__(
        self, tasks: TaskStore, pool: WorkerPool, files: ModelFiles, *, may_download: bool = True
    ) -> None:
        self.pool = pool
        self.files = files
        self.may_download = may_download
        self._load_error: str | None = None
        self._tasks = tasks
        self._load: Task | None = None
        self._restarting = False
        self._closed = False
        self._running: asyncio.Task[None] | None = None

    @property
    def loading(self) -> Task | None:
        """The running load's task, unless it is being cancelled."""
        load = self._load
        return load if load and not load.finished and load.cancelling is None else None

    @property
    def live(self) -> bool:
        """Whether the model has a worker process, or a load is about to start one."""
        return self.pool.alive or self.loading is not None

    @property
    def on_disk(self) -> bool:
        """Whether the files were on disk at the last look, or need not be downloaded on request first."""
        return self.files.path is not None or self.files.spec.kind == "builtin"

    async def fetch_files(self, on_progress: OnProgress) -> None:
        """Wait until the model is on disk, for a removal.

        Raises ModelUnavailable for one that is not and may not be downloaded, else what a download ends with.
        """
        if not self.may_download and await self.files.refresh() is None:
            self._check_on_disk()
        await self.files.ensure(on_progress)

    @property
    def error(self) -> str | None:
        """Why the last load failed, or how the worker with the loaded model died, in a sentence."""
        return self.pool.last_failure or self._load_error

    def load(self, replicas: int | None = None) -> Task | None:
        """Start a load and return its task, or the running one's; None if there is nothing left to load.

        `replicas` is how many devices are to have it. Raises ModelUnavailable for a model that has to be
        downloaded first, Stopping.
        """
        if self.loading or (self.pool.is_loaded and replicas is None):
            return self.loading
        self._check_on_disk()
        return self._begin(restart=False, replicas=replicas)

    def restart(self) -> Task:
        """Start new workers in place of those that run, if any, and return the load's task.

        A running job is put back into the queue and run by the new worker. A load that is under way is
        cancelled, except that of a restart. Raises ModelUnavailable, Stopping.
        """
        if self.loading and self._restarting:
            return self.loading
        if not self.pool.model_info:
            self._check_on_disk()
        if self.loading and self._running:
            self._running.cancel()
            self.loading.fail(Cancelled())
        return self._begin(restart=True)

    async def unload(self) -> Unloaded:
        """Kill the workers, cancel a load, and wait until all have ended, so that all memory is free."""
        held_bytes = await self.pool.memory_bytes()
        loading = self.loading
        if loading:
            await self._tasks.cancel(loading)
        if not await self.pool.stop("unload on request") and not loading:
            return {"unloaded": False, "freed_bytes": None}
        return {"unloaded": True, "freed_bytes": held_bytes}

    async def close(self) -> None:
        """Reject further loads, and cancel the running one."""
        self._closed = True
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    def _check_on_disk(self) -> None:
        if not self.on_disk:
            raise ModelUnavailable(f"{self.pool.name} is not on this machine: download it first.")

    def _begin(self, *, restart: bool, replicas: int | None = None) -> Task:
        if self._closed:
            raise Stopping
        self._load_error = None
        self._restarting = restart
        task = self._load = self._tasks.create(TaskKind.LOAD)
        self._running = task.run(self._run(task, restart=restart, replicas=replicas))
        return task

    async def _run(self, task: Task, *, restart: bool, replicas: int | None) -> None:
        try:
            if restart:
                task.progress(0, "Ending the worker")
                await self.pool.stop("restart on request")
            task.progress(0, "Starting the worker")
            self._check_on_disk()
            await self.files.ensure(task.progress)
            await self.pool.load(task.progress, replicas)
            task.complete("Model loaded")
        except asyncio.CancelledError:
            if task is self._load:  # else another load has taken the workers over
                await self.pool.stop("its load was cancelled")
            task.fail(Cancelled())
        except WorkerReplaced:  # by an unload or an install
            task.fail(Cancelled())
        except BgremoveError as error:
            self._load_error = error.detail
            task.fail(error)
        except Exception:
            log.exception("load failed", extra={"task_id": task.id})
            task.fail(BgremoveError())
