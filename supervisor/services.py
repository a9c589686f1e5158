"""Everything the routes call, made once for one application and closed with it."""

import asyncio
import logging
import time
from dataclasses import dataclass

from shared.catalog import find
from shared.messages import WorkerConfig
from supervisor.builtin_model import BuiltinModel
from supervisor.downloads import Downloads
from supervisor.model_life import ModelLife
from supervisor.model_store import ModelStore
from supervisor.removals import Removals
from supervisor.results import ResultStore
from supervisor.settings import Settings
from supervisor.tasks import TaskRegistry
from supervisor.worker_generation import OnProgress, WorkerSpec
from supervisor.worker_manager import WorkerManager

BUILTIN_KEEP_ALIVE_S = 60.0  # it loads in half a second, so it need not stay
log = logging.getLogger("supervisor")


@dataclass(slots=True)
class Address:
    """Where the server really listens; told once the socket is bound."""

    host: str
    port: int


class Services:
    """The supervisor's parts. Must be made on a running event loop."""

    def __init__(self, settings: Settings, address: Address) -> None:
        self.settings = settings
        self.address = address
        self.started_at = time.monotonic()
        self.builtin_model = BuiltinModel(settings.data_dir)
        self.tasks = TaskRegistry(settings.retention_s)
        self.results = ResultStore(settings.temp_dir)
        logs = self.results.folder / "workers"
        model = find(settings.model)
        self.model_store = ModelStore(settings.data_dir, model, settings.revision, settings.loader)
        self.downloads = Downloads(self.tasks, self.model_store, logs)
        idle_s = settings.keep_alive_s or BUILTIN_KEEP_ALIVE_S
        self.workers = {"builtin": WorkerManager("builtin", self._prepare_builtin, logs, idle_s)}
        self.model_life = ModelLife(self.tasks, self.workers["builtin"])
        self.removals = Removals(
            self.tasks, self.results, self.workers, settings.queue_limit, settings.retention_s
        )
        self._cleaning: asyncio.Task[None] | None = None

    @property
    def uptime_s(self) -> float:
        """Seconds since the service started."""
        return round(time.monotonic() - self.started_at, 3)

    async def open(self) -> None:
        """Start what runs in the background."""
        self._cleaning = asyncio.create_task(self._clean_for_ever())

    async def close(self) -> None:
        """End every task, worker and file; open streams get their last event. Safe to call twice."""
        if self._cleaning is not None:
            self._cleaning.cancel()
        # Together: a removal that is told to stop would wait two seconds for a busy worker.
        workers = (worker.close() for worker in self.workers.values())
        parts = (self.removals, self.model_life, self.downloads)
        await asyncio.gather(*(part.close() for part in parts), *workers)
        await self.results.drop_all()

    async def _clean_for_ever(self) -> None:
        while True:
            await self.results.drop_orphans()
            for task in self.tasks.expire():
                await self.removals.forget(task)
            await asyncio.sleep(self.settings.cleanup_interval_s)

    async def _prepare_builtin(self, on_progress: OnProgress) -> WorkerSpec:
        model = await self.builtin_model.ensure(on_progress)
        settings = self.settings
        return WorkerSpec(
            entry=settings.builtin_worker,
            config=WorkerConfig(str(model), settings.max_pixels),
            start_timeout_s=settings.start_timeout_s,
            load_timeout_s=settings.load_timeout_s,
            job_timeout_s=settings.job_timeout_s,
        )
