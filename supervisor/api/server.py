"""The server itself: health, readiness, status."""

import asyncio
import os
from typing import Literal

from fastapi import APIRouter
from typing_extensions import TypedDict

from shared.errors import NotReady
from supervisor import __version__, builtin_model
from supervisor.api.common import Accepted, Supervisor
from supervisor.facts import WorkerStatus, worker_status

router = APIRouter(tags=["server"])


class Health(TypedDict):
    """That the server answers."""

    status: Literal["ok"]
    version: str
    uptime_s: float


class ServerStatus(TypedDict):
    """The supervisor process."""

    host: str
    port: int
    pid: int
    version: str
    uptime_s: float


class ModelStatus(TypedDict):
    """BiRefNet: on disk, in memory, on its way to either."""

    model_id: str
    revision: str | None
    commit: str | None
    licence: str | None
    model_loaded: bool
    model_loading: bool
    model_error: str | None
    model_downloaded: bool
    model_downloading: bool
    model_download_error: str | None
    device: str


class Models(TypedDict):
    """The models that are downloaded on demand."""

    background_removal: ModelStatus


class BuiltinStatus(TypedDict):
    """The model that works from the first minute."""

    model_id: str
    available: bool


class QueueStatus(TypedDict):
    """Removals being received, waiting or running, and how many there may be."""

    length: int
    limit: int


class Status(TypedDict):
    """Everything the status table shows."""

    server: ServerStatus
    models: Models
    builtin: BuiltinStatus
    worker: WorkerStatus
    queue: QueueStatus


class Readiness(TypedDict):
    """That a removal would be accepted."""

    ready: Literal[True]


@router.get("/health")
async def health(services: Supervisor) -> Health:
    """Whether the server answers; never waits for a worker."""
    return {"status": "ok", "version": __version__, "uptime_s": services.uptime_s}


@router.get("/ready")
async def ready(services: Supervisor) -> Readiness:
    """Whether a removal would be accepted now."""
    removals = services.removals
    if removals.queue_length >= removals.queue_limit:
        raise NotReady(f"The queue is full with {removals.queue_limit} removals.")
    return {"ready": True}


@router.post("/worker/restart", tags=["worker"])
async def restart_worker(services: Supervisor) -> Accepted:
    """End the worker and start a new one; a running removal is put back in the queue, not lost."""
    return {"task_id": services.model_life.restart().id}


@router.get("/status")
async def status(services: Supervisor) -> Status:
    """The server, its models, its worker and its queue."""
    store, downloads = services.model_store, services.downloads
    downloading, download_error = downloads.downloading, downloads.error
    snapshot = await asyncio.to_thread(store.current)
    return {
        "server": {
            "host": services.address.host,
            "port": services.address.port,
            "pid": os.getpid(),
            "version": __version__,
            "uptime_s": services.uptime_s,
        },
        "models": {
            "background_removal": {
                "model_id": store.spec.model_id,
                "revision": store.revision,
                "commit": snapshot.commit if snapshot else None,
                "licence": store.spec.licence,
                "model_loaded": False,
                "model_loading": False,
                "model_error": None,
                "model_downloaded": snapshot is not None and not downloading,
                "model_downloading": downloading,
                "model_download_error": download_error,
                "device": "cpu",
            }
        },
        "builtin": {"model_id": builtin_model.MODEL_ID, "available": services.builtin_model.available},
        "worker": await asyncio.to_thread(worker_status, services.model_life.worker),
        "queue": {"length": services.removals.queue_length, "limit": services.removals.queue_limit},
    }
