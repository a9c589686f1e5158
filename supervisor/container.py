"""Everything the routes call, made once for one application and closed with it."""

import asyncio
import logging
import time
from dataclasses import dataclass

from shared.catalog import find_model
from supervisor.environment.installer import Installs
from supervisor.environment.report import Environment
from supervisor.environment.requirements import PackageLists
from supervisor.jobs.dispatcher import Removals
from supervisor.jobs.spool import Spool
from supervisor.jobs.task import TaskStore
from supervisor.models.downloads import Downloads
from supervisor.models.registry import Models
from supervisor.models.store import ModelStore
from supervisor.observability.metrics import Metrics
from supervisor.settings import Settings

log = logging.getLogger("supervisor")


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server really listens."""

    host: str
    port: int


class Container:
    """The supervisor's parts. Must be made on a running event loop.

    `lists` are the packages that the environment is to hold; without them, the project's own.
    """

    def __init__(self, settings: Settings, address: Address, lists: PackageLists | None = None) -> None:
        self.settings = settings
        self.address = address
        self.started_at = time.monotonic()
        self.metrics = Metrics()
        self.tasks = TaskStore(settings.retention_s)
        self.results = Spool(settings.temp_dir)
        logs = self.results.folder / "workers"
        spec = find_model(settings.model)
        self.model_store = ModelStore(settings.data_dir, spec, settings.revision, settings.loader)
        self.downloads = Downloads(self.tasks, self.model_store, logs)
        self.models = Models(settings, self.tasks, self.model_store, self.downloads, logs)
        self.removals = Removals(
            self.tasks,
            self.results,
            self.models.life,
            self.metrics,
            settings.queue_limit,
            settings.retention_s,
        )
        self.environment = Environment(lists or PackageLists(), settings.loader)
        pip_folder = self.results.folder / "pip"
        self.installs = Installs(self.tasks, self.environment, self.models.workers, pip_folder)
        self._cleaning: asyncio.Task[None] | None = None

    @property
    def uptime_s(self) -> float:
        """Seconds since the service started."""
        return round(time.monotonic() - self.started_at, 3)

    async def open(self) -> None:
        """Start what runs in the background."""
        self._cleaning = asyncio.create_task(self._clean_for_ever())
        if self.settings.preload:
            self.models.life("auto").load()

    async def close(self) -> None:
        """End every task, worker and file; open streams get their last event. Safe to call twice."""
        if self._cleaning is not None:
            self._cleaning.cancel()
        # First: at its end, an install starts the workers anew.
        await self.installs.close()
        # Together: a removal that is told to stop would wait two seconds for a busy worker.
        parts = (self.removals, self.models, self.downloads, self.environment)
        await asyncio.gather(*(part.close() for part in parts))
        await self.results.drop_all()

    async def _clean_for_ever(self) -> None:
        while True:
            try:
                await self._clean()
            except Exception as error:  # noqa: BLE001  # a want of threads passes; photos must not stay for ever
                log.error("clean-up failed", extra={"reason": repr(error)})  # noqa: TRY400  # each time anew
            await asyncio.sleep(self.settings.cleanup_interval_s)

    async def _clean(self) -> None:
        self.results.show_life()
        await self.results.drop_orphans()
        for task in self.tasks.expire():
            await self.removals.forget(task)
