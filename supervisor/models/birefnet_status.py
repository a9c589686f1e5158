"""The status of BiRefNet: on disk, in memory, being downloaded or loaded."""

from typing_extensions import TypedDict

from supervisor.models.downloads import Downloads
from supervisor.models.registry import Models
from supervisor.models.store import ModelStore
from supervisor.settings import Settings
from supervisor.workers.state import WorkerState


class InputSides(TypedDict):
    """The minimum, maximum and step of the sides of a network's input, in pixels."""

    least: int
    most: int
    step: int


class ModelStatus(TypedDict):
    """Status of BiRefNet: on disk, in memory, being downloaded or loaded.

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


async def model_status(
    settings: Settings, store: ModelStore, downloads: Downloads, models: Models
) -> ModelStatus:
    """Return the status of BiRefNet."""
    downloading, download_error = downloads.current, downloads.error
    snapshot = await store.refresh()
    lifecycle = models.lifecycles["birefnet"]
    info = lifecycle.pool.model_info
    size = store.spec.input_size
    under_way = downloading or lifecycle.loading
    starting = lifecycle.pool.state is WorkerState.STARTING or lifecycle.loading is not None
    return {
        "model_id": store.spec.model_id,
        "model_loaded": info is not None,
        "model_loading": info is None and starting,
        "model_error": lifecycle.error,
        "model_downloaded": snapshot is not None and downloading is None,
        "model_downloading": downloading is not None,
        "model_download_error": download_error,
        "device": info.device if info else settings.device.replace("auto", "cpu"),
        "dtype": info.dtype if info else None,
        "loader": settings.loader,
        "input_size": size if isinstance(size, tuple) else None,
        "input_sides": _sides(size) if isinstance(size, range) else None,
        "licence": store.spec.licence,
        "revision": store.revision,
        "commit": snapshot.commit if snapshot else None,
        "task_id": under_way.id if under_way else None,
    }


def _sides(sides: range) -> InputSides:
    return {"least": sides[0], "most": sides[-1], "step": sides.step}
