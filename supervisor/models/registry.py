"""The models that this supervisor serves, and how each one's worker is started."""

import asyncio
import logging
from pathlib import Path

from shared.errors import ModelUnavailable
from shared.messages import WorkerConfig
from shared.options import ModelChoice
from supervisor.jobs.task import OnProgress, TaskStore
from supervisor.models.builtin_model import BuiltinModel
from supervisor.models.downloads import Downloads
from supervisor.models.lifecycle import ModelLifecycle, Unloaded
from supervisor.models.store import ModelStore
from supervisor.settings import Settings
from supervisor.workers.handle import WorkerSpec
from supervisor.workers.worker import Worker

BUILTIN_KEEP_ALIVE_S = 60.0  # it loads in half a second, so it need not stay
log = logging.getLogger("supervisor.models")


class Models:
    """BiRefNet and the built-in model, each with a worker of its own, BiRefNet preferred."""

    def __init__(
        self,
        settings: Settings,
        tasks: TaskStore,
        store: ModelStore,
        downloads: Downloads,
        log_folder: Path,
    ) -> None:
        self.builtin_file = BuiltinModel(settings.data_dir)
        self._settings = settings
        self._store = store
        idle_s = settings.keep_alive_s
        birefnet = Worker("birefnet", self._prepare_birefnet, log_folder, idle_s)
        builtin = Worker("builtin", self._prepare_builtin, log_folder, idle_s or BUILTIN_KEEP_ALIVE_S)
        self.lives = {
            "birefnet": ModelLifecycle(tasks, birefnet, lambda: store.downloaded, downloads.ensure),
            # Always counts as there: where its file is missing, the worker's start fetches it.
            "builtin": ModelLifecycle(tasks, builtin, lambda: True, self.builtin_file.ensure),
        }

    @property
    def workers(self) -> list[Worker]:
        """Every model's worker."""
        return [life.worker for life in self.lives.values()]

    def life(self, choice: ModelChoice) -> ModelLifecycle:
        """Return the chosen model's life; "auto" is BiRefNet once it is loaded or on disk."""
        if choice != "auto":
            return self.lives[choice]
        return next(life for life in self.lives.values() if life.live or life.on_disk())

    async def unload(self) -> Unloaded:
        """Kill every worker, so that all memory is free."""
        done = await asyncio.gather(*(life.unload() for life in self.lives.values()))
        freed = [each["freed_bytes"] for each in done if each["freed_bytes"] is not None]
        return {
            "unloaded": bool(freed),
            "freed_bytes": sum(freed) if freed else None,
        }

    async def close(self) -> None:
        """Cancel loads and end the workers for good."""
        await asyncio.gather(
            *(life.close() for life in self.lives.values()), *(worker.close() for worker in self.workers)
        )

    async def _prepare_builtin(self, on_progress: OnProgress) -> WorkerSpec:
        model = await self.builtin_file.ensure(on_progress)
        config = WorkerConfig("builtin", str(model), self._settings.max_pixels)
        return self._spec(self._settings.builtin_worker, config)

    async def _prepare_birefnet(self, _: OnProgress) -> WorkerSpec:
        folder = await asyncio.to_thread(self._store.snapshot)
        if folder is None:
            raise ModelUnavailable
        settings, spec = self._settings, self._store.spec
        if settings.loader == "transformers":
            log.warning("running code from the hub", extra={"model": spec.model_id, "snapshot": folder.name})
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
