"""A model's life on request: load, unload, restart. A loaded model is a live worker process."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from typing_extensions import TypedDict

from shared.errors import BgremoveError, Cancelled, ModelUnavailable, Stopping, WorkerReplaced
from supervisor.jobs.task import OnProgress, Task, TaskKind, TaskStore
from supervisor.platform.process_memory import rss_bytes
from supervisor.workers.state import WorkerState
from supervisor.workers.worker import Worker

log = logging.getLogger("supervisor.models")


class Unloaded(TypedDict):
    """That a model was unloaded, and the memory that came back."""

    unloaded: bool
    freed_bytes: int | None


class ModelLifecycle:
    """Loads, unloads and restarts one model's worker; one load at a time.

    `on_disk` says whether the model's files are there, or need not be asked for; `fetch` brings them there.
    """

    def __init__(
        self,
        tasks: TaskStore,
        worker: Worker,
        on_disk: Callable[[], bool],
        fetch: Callable[[OnProgress], Awaitable[object]],
    ) -> None:
        self.worker = worker
        self.on_disk = on_disk
        self.fetch = fetch
        self._load_error: str | None = None
        self._tasks = tasks
        self._load: Task | None = None
        self._restarting = False
        self._closed = False
        self._running: asyncio.Task[None] | None = None

    @property
    def loading(self) -> Task | None:
        """The load that is under way, and is not being cancelled."""
        load = self._load
        return load if load and not load.finished and load.cancelling is None else None

    @property
    def live(self) -> bool:
        """Whether the model's worker has a process, or is about to."""
        return self.worker.pid is not None or self.loading is not None

    @property
    def error(self) -> str | None:
        """Why the last load failed or the last worker died, until one is loaded again."""
        died = self.worker.state is WorkerState.FAILED and self.worker.last_exit
        return died.detail if died else self._load_error

    def load(self) -> Task | None:
        """Start loading and return the task, the one under way if there is one; None when loaded.

        Raises ModelUnavailable for a model that has to be downloaded first, Stopping.
        """
        if self.loading or self.worker.model_info:
            return self.loading
        self._check()
        return self._begin(restart=False)

    def restart(self) -> Task:
        """Start a new worker in place of the one that runs, if any, and return the load's task.

        A running removal goes back to the queue and is done by the new worker, a load that is under way is
        cancelled, but for that of a restart. Raises ModelUnavailable, Stopping.
        """
        if self.loading and self._restarting:
            return self.loading
        if not self.worker.model_info:
            self._check()
        if self.loading and self._running:
            self._running.cancel()
            self.loading.fail(Cancelled())
        return self._begin(restart=True)

    async def unload(self) -> Unloaded:
        """Kill the worker, cancel a load, and wait until both have ended, so that all memory is free."""
        pid, facts = self.worker.pid, self.worker.model_info
        held_bytes = await asyncio.to_thread(rss_bytes, pid) if pid else None
        loading = self.loading
        if loading:
            await self._tasks.cancel(loading)
        if not await self.worker.stop() and not loading:
            return {"unloaded": False, "freed_bytes": None}
        return {
            "unloaded": True,
            "freed_bytes": (held_bytes or 0) + (facts.device_memory_bytes if facts else 0),
        }

    async def close(self) -> None:
        """Cancel a load that is under way, and start no more."""
        self._closed = True
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    def _check(self) -> None:
        if not self.on_disk():
            raise ModelUnavailable

    def _begin(self, *, restart: bool) -> Task:
        if self._closed:
            raise Stopping
        self._load_error = None
        self._restarting = restart
        task = self._load = self._tasks.create(TaskKind.LOAD)
        self._running = task.run(self._run(task, restart=restart))
        return task

    async def _run(self, task: Task, *, restart: bool) -> None:
        try:
            if restart:
                task.progress(0, "Ending the worker")
                await self.worker.stop()
            task.progress(0, "Starting the worker")
            await self.worker.load(task.progress)
            task.complete("Model loaded")
        except asyncio.CancelledError:
            if task is self._load:  # else another load has taken the worker over
                await self.worker.stop()
            task.fail(Cancelled())
        except WorkerReplaced:  # by an unload, by an installation
            task.fail(Cancelled())
        except BgremoveError as error:
            self._load_error = error.detail
            task.fail(error)
        except Exception:
            log.exception("load failed", extra={"task_id": task.id})
            task.fail(BgremoveError())
