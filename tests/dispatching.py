"""A dispatcher with one model, for tests: its queue, its spool, its workers, and what is submitted to it."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, cast

from shared.catalog import find_model
from shared.errors import BgremoveError
from shared.messages import ModelInfo, RemovalJob, RemovalResult
from shared.options import RemovalOptions
from supervisor.jobs.dispatcher import Dispatcher
from supervisor.jobs.image_fetch import ImageFetcher
from supervisor.jobs.job import SOURCE, Job, StoredImage
from supervisor.jobs.queue import JobQueue
from supervisor.jobs.result import Result
from supervisor.jobs.spool import Spool
from supervisor.jobs.webhook import Webhooks
from supervisor.models.hub_files import HubFiles
from supervisor.models.lifecycle import ModelLifecycle
from supervisor.models.registry import Models
from supervisor.models.store import ModelStore
from supervisor.observability.metrics import Metrics
from supervisor.tasks.task import Task, TaskKind, new_task_id
from supervisor.tasks.task_store import TaskStore
from supervisor.workers.device import Device
from supervisor.workers.pool import WorkerPool
from supervisor.workers.residency import Residency
from supervisor.workers.spec import OnProgress, WorkerSpec
from supervisor.workers.worker import Worker
from tests.photos import wish

TIMEOUT_S = 60


async def no_spec(_: Device) -> WorkerSpec:
    """Start no process."""
    raise AssertionError("a worker process was started")


class ScriptedWorker(Worker):
    """A worker without a process: `behave` runs its jobs. Its model is loaded unless `concurrency` is 0."""

    def __init__(
        self,
        behave: Callable[[RemovalJob, OnProgress], Coroutine[Any, Any, RemovalResult]],
        concurrency: int = 1,
        name: str = "scripted",
    ) -> None:
        super().__init__("fake", Device(name), no_spec, Path())
        self.concurrency = concurrency
        self._behave = behave

    @property
    def model_info(self) -> ModelInfo | None:
        """A model of this concurrency."""
        return (
            ModelInfo("fake", "cpu", "float32", max_concurrency=self.concurrency)
            if self.concurrency
            else None
        )

    async def ensure_loaded(self, _: OnProgress) -> Any:  # the handle of a process
        """Start no process."""

    async def run(self, job: RemovalJob, on_progress: OnProgress) -> RemovalResult:
        """Run a job as the test says."""
        return await self._behave(job, on_progress)


class StubModels:
    """One model by every name."""

    def __init__(self, lifecycle: ModelLifecycle) -> None:
        self.lifecycle = lifecycle
        self.residency = Residency(100, lambda: lifecycle.pool.workers)
        self.refreshes = 0

    def resolve(self, _: str) -> ModelLifecycle:
        """Return the one model."""
        return self.lifecycle

    async def check_available(self, _: str) -> None:
        """Every model is there."""

    async def refresh(self) -> None:
        """Count the checks of the disk."""
        self.refreshes += 1

    def subscribe(self, on_change: Callable[[], None]) -> None:
        """Pass the pool's changes on."""
        self.lifecycle.pool.subscribe(on_change)


class StubFiles(HubFiles):
    """The files of a model, which are there. `fetched` gets a line whenever they are asked for."""

    def __init__(self, fetched: list[str] | None = None) -> None:
        super().__init__(TaskStore(60), ModelStore(Path(), find_model("BiRefNet"), "main", "native"), Path())
        self._fetched = fetched if fetched is not None else []

    @property
    def path(self) -> Path:
        """Some path."""
        return Path()

    async def ensure(self, on_progress: OnProgress) -> None:
        """Note that they were asked for."""
        on_progress(0, "Fetching the model")
        self._fetched.append("model")


def make_pool(workers: Sequence[Worker]) -> WorkerPool:
    """Return a pool of these workers, each on a device of its own."""
    by_device = {worker.device: worker for worker in workers}
    return WorkerPool("test", list(by_device), by_device.__getitem__)


class Bench:
    """A dispatcher over `workers`, and what goes through it."""

    def __init__(self, folder: Path, workers: Sequence[Worker], limit: int = 100) -> None:
        self.tasks = TaskStore(60)
        self.spool = Spool(folder, 60)
        self.pool = make_pool(workers)
        self.queue = JobQueue(limit)
        self.fetched: list[str] = []
        self.metrics = Metrics()
        self.models = StubModels(ModelLifecycle(self.tasks, self.pool, StubFiles(self.fetched)))
        fetcher = ImageFetcher(self.spool, self.metrics, 10**6, allow_private=True)
        models = cast("Models", self.models)
        webhooks = Webhooks(self.spool, None, allow_private=True)
        self.dispatcher = Dispatcher(
            self.queue, self.tasks, self.spool, models, self.metrics, fetcher, webhooks
        )

    async def submit(self, text: str = "", client: str = "one", **fields: Any) -> Task:
        """Save an image with a text in it, and submit its job."""
        job = Job(
            id=new_task_id(TaskKind.REMOVE),
            options=RemovalOptions(model="builtin"),
            image=StoredImage(SOURCE),
            background=None,
            file_name="photo.png",
            client=client,
            submitted_at=datetime.now(UTC),
        )
        job = replace(job, **fields)
        await self.spool.accept(job, {SOURCE: partial(_write, wish(text))})
        return self.dispatcher.submit(job)

    async def remove(self, text: str = "", client: str = "one") -> Result:
        """Submit a job and return its result. Raises the error that it failed with."""
        task = await self.submit(text, client)
        await task.wait()
        task.raise_failure()
        return self.spool.result(task.id)

    async def outcome(self, text: str = "", client: str = "one") -> Result | BgremoveError:
        """Submit a job and return its result, or its error."""
        try:
            return await self.remove(text, client)
        except BgremoveError as error:
            return error

    def run(self, scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a scenario in bounded time, and close everything."""

        async def whole() -> None:
            self.dispatcher.open()
            try:
                await asyncio.wait_for(scenario(), TIMEOUT_S)
            finally:
                await self.dispatcher.close()
                await self.pool.close()

        asyncio.run(whole())


def _write(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def finished(job: RemovalJob) -> RemovalResult:
    """Write a job's image as its result, and return the message of its end."""
    Path(job.result_path).write_bytes(Path(job.source_path).read_bytes())
    timings = {"decode": 1.0, "inference": 1.0, "refine": 0.0, "encode": 1.0}
    whole = (0, 0, 1, 1)
    return RemovalResult(
        1, 1, "png", "fake", "cpu", timings, subject=True, coverage=1.0, box=whole, frame=whole
    )


def text_of(job: RemovalJob) -> str:
    """Return the text in a job's image."""
    return Path(job.source_path).read_bytes()[8:].decode()
