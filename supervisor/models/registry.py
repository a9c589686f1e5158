"""The model registry: the models that this service can serve, by name, each with its files and workers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from shared.catalog import (
    ALL_MODELS,
    BUILTIN,
    DEFAULT_REVISION,
    NO_MODEL,
    ModelSpec,
    find_model,
    find_named_model,
)
from shared.errors import ModelUnavailable, NotReady, StillRunning
from shared.hub_cache import cache_root, list_repositories
from supervisor.models.hub_files import HubFiles
from supervisor.models.lifecycle import ModelLifecycle, Unloaded
from supervisor.models.model_files import ModelFiles
from supervisor.models.onnx_files import OnnxFiles, rembg_folders
from supervisor.models.store import ModelStore
from supervisor.models.worker_specs import WorkerSpecs
from supervisor.settings import Settings
from supervisor.tasks.task import Task
from supervisor.tasks.task_store import TaskStore
from supervisor.workers.device import CLUSTER, CPU, Device, parse_devices
from supervisor.workers.pool import WorkerPool
from supervisor.workers.residency import Residency
from supervisor.workers.spec import WorkerStatus
from supervisor.workers.worker import Worker

BUILTIN_KEEP_ALIVE_S = 60.0  # it loads in half a second, so it need not stay loaded


class Models:
    """The models by name, each with a worker pool. "auto" prefers the default model to the built-in one.

    A model that is not in the catalogue, but on disk, is added when it is first asked for.
    """

    def __init__(self, settings: Settings, tasks: TaskStore, log_folder: Path) -> None:
        self._settings = settings
        self._tasks = tasks
        self._log_folder = log_folder
        self._devices = parse_devices(settings.device)
        self._cluster = () if settings.cluster is None else (CLUSTER,)
        self._specs = WorkerSpecs(settings)
        self._listeners: list[Callable[[], None]] = []
        self._paused = False  # while packages are installed
        self._by_name: dict[str, ModelLifecycle] = {}
        self.residency = Residency(
            settings.max_loaded_models, self._list_workers, int(1 / settings.cluster_gpus_per_actor)
        )
        self._default_spec = find_model(settings.model)
        self.default = self._add(self._default_spec)
        for spec in (BUILTIN, *ALL_MODELS):
            if spec.name not in self._by_name:
                self._add(spec)
        self.builtin = self._by_name[BUILTIN.name]

    def __iter__(self) -> Iterator[ModelLifecycle]:
        """Iterate over the models, the default one first."""
        return iter(list(self._by_name.values()))

    async def refresh(self) -> None:
        """Look at the disk for the default model's files, which other processes may have changed."""
        await self.default.files.refresh()

    def find(self, name: str) -> ModelLifecycle:
        """Return a model by a name in the catalogue, a hub id, "builtin", or "birefnet", the default one.

        Raises UnknownModel, NotReady.
        """
        if name in self._by_name and name != "birefnet":
            return self._by_name[name]
        spec = self._find_spec(name)
        return self._by_name.get(spec.name) or self._add(spec)

    def resolve(self, choice: str) -> ModelLifecycle:
        """Return the chosen model; "auto" is the default one once it is loaded, or on disk at `refresh`.

        For NO_MODEL it is the loaded one with the least to do, whose worker then runs the removal, else the
        built-in one. Raises UnknownModel.
        """
        if choice == NO_MODEL:
            loaded = [model for model in self if model.pool.model_info]
            return min(loaded, key=lambda model: model.pool.load_factor, default=self.builtin)
        if choice != "auto":
            return self.find(choice)
        return next(each for each in (self.default, self.builtin) if each.live or each.on_disk)

    async def look_up(self, choice: str) -> ModelLifecycle:
        """Return the chosen model as `resolve` does, and look at the disk for its files.

        Raises UnknownModel, and ModelUnavailable for one that is neither in the catalogue nor on disk: a
        client could name any number of those.
        """
        await self.refresh()
        if choice == "auto":
            return self.resolve(choice)
        spec = self._find_spec(choice)
        if spec.name not in self._by_name and await self._make_files(spec).refresh() is None:
            raise ModelUnavailable(f"{spec.name} is not on this machine: download it first.")
        model = self.find(choice)
        await model.files.refresh()
        return model

    async def check_available(self, choice: str) -> None:
        """Raise UnknownModel, or ModelUnavailable for a model that would have to be downloaded first."""
        if choice == NO_MODEL:
            return
        known = None if choice == "auto" else self._by_name.get(self._find_spec(choice).name)
        if choice == "auto" or (known and (known.may_download or known.live)):
            return  # without a look at the disk: that is for every upload
        model = await self.look_up(choice)
        if not (model.may_download or model.on_disk):
            step = "download it first, or set BGREMOVE_AUTO_DOWNLOAD=true"
            if not is_downloadable(model.files.spec):
                step = f"put its file {model.files.spec.onnx_name}.onnx into a folder of rembg's"
            raise ModelUnavailable(f"{model.pool.name} is not on this machine: {step}.")

    async def load(self, choice: str, replicas: int | None = None) -> Task | None:
        """Load the chosen model, as `ModelLifecycle.load` does."""
        return (await self.look_up(choice)).load(replicas)

    async def restart(self, choice: str) -> Task:
        """Restart the chosen model's workers, as `ModelLifecycle.restart` does."""
        return (await self.look_up(choice)).restart()

    async def delete(self, name: str) -> int:
        """Delete a model's files from the disk, and return their size in bytes.

        Raises StillRunning while it is loaded, and what `ModelFiles.delete` raises.
        """
        spec = self._find_spec(name)
        model = self._by_name.get(spec.name)
        if model is not None and model.live:
            raise StillRunning(f"{spec.name} is loaded: unload it first.")
        files = self._make_files(spec) if model is None else model.files
        size_bytes = await files.delete()
        await files.refresh()
        return size_bytes

    async def list_all(self) -> list[ModelLifecycle]:
        """Return every model of the catalogue that can be had here, and every one found on disk."""
        for found in await asyncio.to_thread(list_repositories, cache_root(self._settings.data_dir)):
            if not self._paused:
                self.find(found)
        await asyncio.gather(*(model.files.refresh() for model in self))
        return [
            model for model in self if model.files.path or model.live or is_downloadable(model.files.spec)
        ]

    async def list_choices(self) -> list[str]:
        """Return the names from which a removal may choose a model: those on disk, and the aliases."""
        found = [model.pool.name for model in await self.list_all() if model.files.path]
        return [*dict.fromkeys(["auto", "birefnet", "builtin", *found])]

    async def find_rembg(self, name: str) -> str | None:
        """Return the name of the model whose file is that of rembg's model `name`, if it is on disk."""
        for model in self:
            spec = model.files.spec
            if spec.kind == "onnx" and spec.onnx_name == name and await model.files.refresh():
                return model.pool.name
        return None

    async def worker_status(self) -> list[WorkerStatus]:
        """Return the status of the workers of the default and built-in model, and of all that were used."""
        main = (self.default, self.builtin)
        used = [model.pool for model in self if model in main or model.pool.last_used_at]
        return [status for pool in used for status in await pool.status()]

    @asynccontextmanager
    async def pause(self) -> AsyncIterator[None]:
        """Keep all workers stopped for the length of a block; loaded models are loaded again at its end."""
        self._paused = True
        try:
            async with AsyncExitStack() as stack:
                for model in self:
                    await stack.enter_async_context(model.pool.pause())
                yield
        finally:
            self._paused = False

    def subscribe(self, on_change: Callable[[], None]) -> None:
        """Call `on_change` whenever a worker's state or its free slots change."""
        self._listeners.append(on_change)

    async def unload(self, name: str | None = None) -> Unloaded:
        """Kill a model's workers, or all, so that the memory is free. Raises UnknownModel."""
        wanted = None if name is None else self._find_spec(name)
        models = [model for model in self if wanted in (None, model.files.spec)]
        done = await asyncio.gather(*(model.unload() for model in models))
        freed = [each["freed_bytes"] for each in done if each["freed_bytes"] is not None]
        return {"unloaded": bool(freed), "freed_bytes": sum(freed) if freed else None}

    async def close(self) -> None:
        """Cancel loads and downloads, and kill the workers for good."""
        await asyncio.gather(
            *(model.close() for model in self),
            *(model.pool.close() for model in self),
            *(model.files.close() for model in self),
        )

    def _find_spec(self, name: str) -> ModelSpec:
        default = self._default_spec
        if name == "birefnet" or name.lower() in (default.name.lower(), default.model_id.lower()):
            return default
        return find_named_model(name)

    def _list_workers(self) -> Iterator[Worker]:
        return (worker for model in self for worker in model.pool.workers)

    def _add(self, spec: ModelSpec) -> ModelLifecycle:
        if self._paused:
            raise NotReady("Packages are being installed: ask again when that has ended.")
        files = self._make_files(spec)
        keep_alive_s = self._settings.keep_alive_s
        if spec.kind == "builtin":
            keep_alive_s = keep_alive_s or BUILTIN_KEEP_ALIVE_S
        prepare = partial(self._specs.prepare, files)

        def make_worker(device: Device) -> Worker:
            return Worker(spec.name, device, prepare, self._log_folder, keep_alive_s, self.residency)

        pool = WorkerPool(spec.name, self._choose_devices(spec), make_worker, self._settings.replicas)
        pool.subscribe(partial(self._handle_change, pool))
        model = self._by_name[spec.name] = ModelLifecycle(
            self._tasks, pool, files, may_download=self._may_download(spec)
        )
        return model

    def _may_download(self, spec: ModelSpec) -> bool:
        """Whether a removal may download a model: the default and built-in one, or what the settings say."""
        is_main = spec in (self._default_spec, BUILTIN)
        return is_main or (self._settings.auto_download and spec in ALL_MODELS and is_downloadable(spec))

    def _make_files(self, spec: ModelSpec) -> ModelFiles:
        settings = self._settings
        if spec.kind != "birefnet":
            return OnnxFiles(self._tasks, spec, settings.data_dir, rembg_folders())
        store = ModelStore(settings.data_dir, spec, self._revision(spec), settings.loader)
        return HubFiles(self._tasks, store, self._log_folder)

    def _revision(self, spec: ModelSpec) -> str:
        """Return the revision of a model: the setting is for the default one."""
        return self._settings.revision if spec == self._default_spec else DEFAULT_REVISION

    def _choose_devices(self, spec: ModelSpec) -> tuple[Device, ...]:
        """Return the devices of a model's workers; onnxruntime computes on the CPU only."""
        own = self._devices
        if spec.kind != "birefnet" and own:
            own = tuple(device for device in self._devices if device.is_cpu) or (CPU,)
        return own + self._cluster

    def _handle_change(self, pool: WorkerPool) -> None:
        first, auto = pool.workers[0].device, self._devices[:1]
        if auto and auto[0].is_auto and first not in (auto[0], CPU):  # which is for an ONNX model
            self.residency.auto = first
        self.residency.note_change()
        for listener in self._listeners:
            listener()


def is_downloadable(spec: ModelSpec) -> bool:
    """Whether the service can download the model's files."""
    return bool(spec.repo_id or spec.wheels)
