"""What the status tells of the model and the workers."""

import asyncio

from typing_extensions import TypedDict

from supervisor.container import Container
from supervisor.platform.process_memory import rss_bytes
from supervisor.workers.handle import WorkerExit
from supervisor.workers.state import WorkerState
from supervisor.workers.worker import Worker


class WorkerStatus(TypedDict):
    """A worker process: where it stands, what it holds, how the last one ended."""

    state: WorkerState
    pid: int | None
    generation: int
    restarts: int
    rss_bytes: int | None
    device_memory_bytes: int | None
    last_exit: WorkerExit | None
    problem: str | None


class InputSides(TypedDict):
    """The least and the most that a side of a network's input may measure, and in which steps; in pixels."""

    least: int
    most: int
    step: int


class ModelStatus(TypedDict):
    """BiRefNet: on disk, in memory, on its way to either.

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


async def model_status(services: Container) -> ModelStatus:
    """Describe BiRefNet."""
    settings, store, downloads = services.settings, services.model_store, services.downloads
    downloading, download_error = downloads.current, downloads.error
    snapshot = await asyncio.to_thread(store.current)
    life = services.models.lives["birefnet"]
    facts = life.worker.model_info
    size = store.spec.input_size
    under_way = downloading or life.loading
    return {
        "model_id": store.spec.model_id,
        "model_loaded": facts is not None,
        "model_loading": facts is None
        and (life.worker.state is WorkerState.STARTING or life.loading is not None),
        "model_error": life.error,
        "model_downloaded": snapshot is not None and downloading is None,
        "model_downloading": downloading is not None,
        "model_download_error": download_error,
        "device": facts.device if facts else settings.device.replace("auto", "cpu"),
        "dtype": facts.dtype if facts else None,
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


async def worker_status(worker: Worker) -> WorkerStatus:
    """Describe a worker; its memory is asked of the operating system."""
    pid = worker.pid
    rss = await asyncio.to_thread(rss_bytes, pid) if pid else None
    return {
        "state": worker.state,
        "pid": pid,
        "generation": worker.starts,
        "restarts": max(0, worker.starts - 1),
        "rss_bytes": rss,
        "device_memory_bytes": worker.model_info.device_memory_bytes if worker.model_info else None,
        "last_exit": worker.last_exit,
        "problem": worker.problem,
    }
