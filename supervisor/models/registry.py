"""The model registry: which models this supervisor serves, and how their workers are started."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from shared.catalog import BUILTIN
from shared.errors import ModelUnavailable
from shared.messages import WorkerConfig
from shared.options import ModelChoice
from supervisor.models.downloads import Downloads
from supervisor.models.lifecycle import ModelLifecycle, Unloaded
from supervisor.models.onnx_files import OnnxFiles, rembg_folders
from supervisor.models.store import ModelStore
from supervisor.settings import Settings
from supervisor.tasks.task import Task, TaskStore
from supervisor.workers.pool import WorkerPool
from supervisor.workers.spec import WorkerSpec
from supervisor.workers.worker import Prepare, Worker

BUILTIN_KEEP_ALIVE_S = 60.0  # it loads in half a second, so it need not stay loaded
log = logging.getLogger("supervisor.models")


class Models:
    """BiRefNet and the built-in model, each with a worker pool of its own. "auto" prefers BiRefNet."""

    def __init__(
        self,
        settings: Settings,
        tasks: TaskStore,
        store: ModelStore,
        downloads: Downloads,
        log_folder: Path,
    ) -> None:
        self.builtin_file = OnnxFiles(tasks, BUILTIN, settings.data_dir, rembg_folders())
        self._settings = settings
        self._store = store
        self._log_folder = log_folder
        idle_s = settings.keep_alive_s
        birefnet = self._pool("birefnet", self._prepare_birefnet, idle_s)
        builtin = self._pool("builtin", self._prepare_builtin, idle_s or BUILTIN_KEEP_ALIVE_S)
        self.lifecycles = {
            "birefnet": ModelLifecycle(tasks, birefnet, store.on_disk, downloads.ensure),
            # Counts as on disk: where its file is missing, it is fetched before its worker starts.
            "builtin": ModelLifecycle(tasks, builtin, lambda: True, self.builtin_file.ensure),
        }

    @property
    def pools(self) -> list[WorkerPool]:
        """Every model's worker pool."""
        return [lifecycle.pool for lifecycle in self.lifecycles.values()]

    async def refresh(self) -> None:
        """Look at the disk for BiRefNet's files, which other processes may have changed."""
        await self._store.refresh()
        await self.builtin_file.refresh()

    def resolve(self, choice: ModelChoice) -> ModelLifecycle:
        """Return the chosen model; "auto" is BiRefNet once it is loaded, or on disk at the last `refresh`."""
        if choice != "auto":
            return self.lifecycles[choice]
        return next(each for each in self.lifecycles.values() if each.live or each.on_disk())

    async def load(self, choice: ModelChoice) -> Task | None:
        """Load the chosen model, as `ModelLifecycle.load` does."""
        await self.refresh()
        return self.resolve(choice).load()

    async def restart(self, choice: ModelChoice) -> Task:
        """Restart the chosen model's workers, as `ModelLifecycle.restart` does."""
        await self.refresh()
        return self.resolve(choice).restart()

    def subscribe(self, on_change: Callable[[], None]) -> None:
        """Call `on_change` whenever a worker's state or its free slots change."""
        for pool in self.pools:
            pool.subscribe(on_change)

    async def unload(self) -> Unloaded:
        """Kill every worker, so that all memory is free."""
        done = await asyncio.gather(*(lifecycle.unload() for lifecycle in self.lifecycles.values()))
        freed = [each["freed_bytes"] for each in done if each["freed_bytes"] is not None]
        return {"unloaded": bool(freed), "freed_bytes": sum(freed) if freed else None}

    async def close(self) -> None:
        """Cancel loads and kill the workers for good."""
        await asyncio.gather(
            *(lifecycle.close() for lifecycle in self.lifecycles.values()),
            *(pool.close() for pool in self.pools),
            self.builtin_file.close(),
        )

    def _pool(self, name: str, prepare: Prepare, keep_alive_s: float | None) -> WorkerPool:
        return WorkerPool(name, [Worker(name, prepare, self._log_folder, keep_alive_s)])

    async def _prepare_builtin(self) -> WorkerSpec:
        path = await self.builtin_file.refresh()
        if path is None:
            raise ModelUnavailable
        config = WorkerConfig(
            "onnx",
            str(path),
            self._settings.max_pixels,
            BUILTIN.model_id,
            input_size=BUILTIN.input_size,
            network=BUILTIN.network,
        )
        return self._spec(self._settings.builtin_worker, config)

    async def _prepare_birefnet(self) -> WorkerSpec:
        snapshot = await self._store.refresh()
        if snapshot is None:
            raise ModelUnavailable
        settings, spec, folder = self._settings, self._store.spec, snapshot.folder
        if settings.loader == "transformers":
            log.warning("code from the hub enabled", extra={"model": spec.model_id, "snapshot": folder.name})
        config = WorkerConfig(
            loader=settings.loader,
            model_path=str(folder),
            max_pixels=settings.max_pixels,
            model_id=spec.model_id,
            device=settings.device,
            dtype=settings.dtype,
            input_size=spec.input_size,
            cpu_fallback=settings.cpu_fallback,
        )
        return self._spec(settings.birefnet_worker, config)

    def _spec(self, entry: str, config: WorkerConfig) -> WorkerSpec:
        settings = self._settings
        return WorkerSpec(
            entry, config, settings.start_timeout_s, settings.load_timeout_s, settings.job_timeout_s
        )
