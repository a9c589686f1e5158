"""The status of the models: on disk, in memory, being downloaded or loaded."""

from typing import Literal

from typing_extensions import TypedDict

from shared.catalog import ModelKind
from supervisor.models.lifecycle import ModelLifecycle
from supervisor.models.registry import Models, is_downloadable
from supervisor.settings import Settings
from supervisor.workers.state import WorkerState


class InputSides(TypedDict):
    """The minimum, maximum and step of the sides of a network's input, in pixels."""

    least: int
    most: int
    step: int


ModelState = Literal["available", "downloading", "on_disk", "loading", "loaded", "failed"]


class ListedModel(TypedDict):
    """A model that can be had here. Sizes in memory and on disk are in bytes.

    `name` is what `model=` of a removal takes. `reason` is why the last download or load failed.
    `licence_caveat` is what its authors, or others, say about the weights' licence. `download_bytes` is about
    what a download takes, if known; `disk_bytes` what a deletion would free. `devices` are those that have it
    loaded. `input_size` and `input_sides` are as in the status. `task_id` is the download or load under way.
    """

    name: str
    hub_id: str | None
    kind: ModelKind
    default: bool
    state: ModelState
    reason: str | None
    input_size: tuple[int, int] | None
    input_sides: InputSides | None
    purpose: str | None
    licence: str | None
    licence_caveat: str | None
    download_bytes: int | None
    downloadable: bool
    disk_bytes: int
    devices: list[str]
    memory_bytes: int | None
    last_used_at: str | None
    task_id: str | None


class ModelStatus(TypedDict):
    """Status of the default model: on disk, in memory, being downloaded or loaded.

    `dtype` is that of the loaded model, `loader` what is set; `device` is the loaded model's, else the one
    it would be loaded on, as far as that is known without PyTorch. `input_size` is (width, height) in
    pixels; it is null for a model that sees each photo in its own size, with sides as `input_sides` says.
    `task_id` is the download or load under way.
    """

    model_id: str
    model_loaded: bool
    model_loading: bool
    model_error: str | None
    model_downloaded: bool
    model_downloading: bool
    model_download_error: str | None
    device: str
    dtype: str | None
    loader: str
    input_size: tuple[int, int] | None
    input_sides: InputSides | None
    licence: str | None
    revision: str | None
    commit: str | None
    task_id: str | None


async def read_default_model(settings: Settings, models: Models) -> ModelStatus:
    """Return the status of the default model."""
    model = models.default
    files, spec = model.files, model.files.spec
    downloading, download_error = files.current, files.error
    await files.refresh()
    info = model.pool.model_info
    size = spec.input_size
    under_way = downloading or model.loading
    starting = model.pool.state is WorkerState.STARTING or model.loading is not None
    return {
        "model_id": spec.model_id,
        "model_loaded": info is not None,
        "model_loading": info is None and starting,
        "model_error": model.error,
        "model_downloaded": files.path is not None and downloading is None,
        "model_downloading": downloading is not None,
        "model_download_error": download_error,
        "device": info.device if info else model.pool.workers[0].device.name.replace("auto", "cpu"),
        "dtype": info.dtype if info else None,
        "loader": settings.loader,
        "input_size": size if isinstance(size, tuple) else None,
        "input_sides": _sides(size) if isinstance(size, range) else None,
        "licence": spec.licence,
        "revision": files.revision,
        "commit": files.commit,
        "task_id": under_way.id if under_way else None,
    }


async def list_models(models: Models) -> list[ListedModel]:
    """Return every model that can be had here, the default one first."""
    return [await _describe(model, is_default=model is models.default) for model in await models.list_all()]


async def _describe(model: ModelLifecycle, *, is_default: bool) -> ListedModel:
    spec, files, pool = model.files.spec, model.files, model.pool
    size = spec.input_size
    under_way = files.current or model.loading
    loaded = [worker for worker in pool.workers if worker.model_info]
    return {
        "name": spec.name,
        "hub_id": spec.repo_id,
        "kind": spec.kind,
        "default": is_default,
        "state": _state(model),
        "reason": model.error or files.error,
        "input_size": size if isinstance(size, tuple) else None,
        "input_sides": _sides(size) if isinstance(size, range) else None,
        "purpose": spec.purpose,
        "licence": spec.licence,
        "licence_caveat": spec.caveat,
        "download_bytes": spec.download_bytes,
        "downloadable": is_downloadable(spec),
        "disk_bytes": await files.size_bytes(),
        "devices": [worker.device.name for worker in loaded],
        "memory_bytes": await pool.memory_bytes() if loaded else None,
        "last_used_at": pool.last_used_at.isoformat(timespec="seconds") if pool.last_used_at else None,
        "task_id": under_way.id if under_way else None,
    }


def _state(model: ModelLifecycle) -> ModelState:
    if model.pool.model_info is not None:
        return "loaded"
    if model.loading is not None or model.pool.state is WorkerState.STARTING:
        return "loading"
    if model.files.current is not None:
        return "downloading"
    if model.error or model.files.error:
        return "failed"
    return "on_disk" if model.files.path is not None else "available"


def _sides(sides: range) -> InputSides:
    return {"least": sides[0], "most": sides[-1], "step": sides.step}
