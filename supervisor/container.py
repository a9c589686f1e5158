"""The dependency container: the supervisor's parts, made once for one application and closed with it."""

import asyncio
import logging
import time
from dataclasses import dataclass

from supervisor.environment.installer import Installer
from supervisor.environment.report import Environment
from supervisor.environment.requirements import PackageLists
from supervisor.jobs.dispatcher import Dispatcher
from supervisor.jobs.idempotency import IdempotencyKeys
from supervisor.jobs.image_fetch import ImageFetcher
from supervisor.jobs.queue import JobQueue
from supervisor.jobs.recovery import recover
from supervisor.jobs.run_directory import RunDirectory
from supervisor.jobs.spool import Spool
from supervisor.jobs.spool_claim import claim_spool_folder
from supervisor.jobs.webhook import Webhooks
from supervisor.models.registry import Models
from supervisor.observability.metrics import Metrics
from supervisor.settings import Settings
from supervisor.tasks.ids import set_instance
from supervisor.tasks.task_store import TaskStore

DRAIN_S = 1.5  # for running jobs at the end of the service, which has five seconds in all
log = logging.getLogger("supervisor")


@dataclass(frozen=True, slots=True)
class Address:
    """The address that the server listens on."""

    host: str
    port: int


class Container:
    """Holds the parts and wires them. Must be made on a running event loop.

    `lists` are the packages that the environment must have; by default the project's own.
    """

    def __init__(self, settings: Settings, address: Address, lists: PackageLists | None = None) -> None:
        self.settings = settings
        self.address = address
        self.started_at = time.monotonic()
        self.metrics = Metrics()
        set_instance(settings.instance)
        self.tasks = TaskStore(settings.retention_s)
        self.run_directory = RunDirectory(settings.temp_dir)
        self._claim = claim_spool_folder(settings.spool_folder) if settings.durable else None
        self.spool = Spool(
            self._claim.path if self._claim else self.run_directory.path,
            settings.retention_s,
            durable=settings.durable,
            claim=self._claim,
        )
        self.models = Models(settings, self.tasks, self.run_directory.path / "workers")
        fetcher = ImageFetcher(
            self.spool, self.metrics, settings.max_upload_bytes, allow_private=settings.url_allow_private
        )
        secret = settings.callback_secret
        self.webhooks = Webhooks(
            self.spool,
            None if secret is None else secret.get_secret_value(),
            allow_private=settings.callback_allow_private,
        )
        self.dispatcher = Dispatcher(
            JobQueue(settings.queue_limit),
            self.tasks,
            self.spool,
            self.models,
            self.metrics,
            fetcher,
            self.webhooks,
        )
        self.idempotency_keys = IdempotencyKeys()
        self.environment = Environment(lists or PackageLists(), settings.loader)
        pip_folder = self.run_directory.path / "pip"
        self.installs = Installer(self.tasks, self.environment, self.models.pause, pip_folder)
        self._cleaning: asyncio.Task[None] | None = None

    @property
    def uptime_s(self) -> float:
        """Seconds since the service started."""
        return round(time.monotonic() - self.started_at, 3)

    async def open(self) -> None:
        """Start the background tasks; with `preload`, load a model."""
        await self.models.refresh()
        if self._claim is not None:
            await recover(self.spool, self.tasks, self.dispatcher, self.idempotency_keys, self.webhooks)
        self.dispatcher.open()
        self._cleaning = asyncio.create_task(self._clean_forever(), name="clean-up")
        if self.settings.preload:
            await self.models.load("auto")

    async def close(self) -> None:
        """Stop everything, and delete the temporary files, when no request is in progress any more."""
        await self.stop()
        await self.run_directory.delete()
        if self._claim is not None:
            self._claim.release()

    async def stop(self) -> None:
        """End every task and worker; open streams end. Safe to call twice.

        The files stay: a request that is still being received is answered with Stopping, not with an error of
        the disk.
        """
        if self._cleaning is not None:
            self._cleaning.cancel()
        # First: an install reloads the workers at its end.
        await self.installs.close()
        await self.dispatcher.drain(DRAIN_S)
        # Together: a job that is cancelled alone would wait two seconds for a busy worker.
        parts = (self.dispatcher, self.models, self.environment)
        await asyncio.gather(*(part.close() for part in parts))
        await self.webhooks.close()

    async def _clean_forever(self) -> None:
        while True:
            try:
                await self.clean()
            except Exception as error:  # noqa: BLE001  # threads can run out for a moment; the loop must not end
                log.error("clean-up failed", extra={"reason": repr(error)})  # noqa: TRY400  # at every interval
            await asyncio.sleep(self.settings.cleanup_interval_s)

    async def clean(self) -> None:
        """Delete what has expired, one task at a time: one that fails is tried again by the next clean-up."""
        self.run_directory.heartbeat()
        for task in self.tasks.expired():
            try:
                await self.spool.delete(task.id)
            except Exception as error:  # noqa: BLE001  # whatever it is, the other tasks' files must go
                log.error("expired task not deleted", extra={"task_id": task.id, "reason": repr(error)})  # noqa: TRY400
            else:
                self.tasks.expire(task)
                self.idempotency_keys.forget(task.id)
        await self.run_directory.delete_orphans()
        await self.spool.delete_leftovers()
