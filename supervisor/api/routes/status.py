"""The server itself: health, readiness, status."""

import os
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from typing_extensions import TypedDict

from shared.errors import ModelUnavailable, NotReady, Stopping
from shared.options import ModelChoice
from supervisor import __version__
from supervisor.api.dependencies import Accepted, NoBody, Supervisor
from supervisor.api.error_handlers import error_responses
from supervisor.models import builtin_model
from supervisor.observability.status_view import ModelStatus, WorkerStatus, model_status, worker_status

router = APIRouter(tags=["server"])
_ToRestart = Annotated[
    ModelChoice, Query(description="whose worker; auto: that of the model which removals by auto take now")
]


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


class ModelsStatus(TypedDict):
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
    models: ModelsStatus
    builtin: BuiltinStatus
    worker: WorkerStatus
    workers: dict[str, WorkerStatus]
    queue: QueueStatus


class Readiness(TypedDict):
    """That a removal would be accepted."""

    ready: Literal[True]


@router.get("/health")
async def health(services: Supervisor) -> Health:
    """Whether the server answers; never waits for a worker."""
    return {"status": "ok", "version": __version__, "uptime_s": services.uptime_s}


@router.get("/ready", responses=error_responses(NotReady))
async def ready(services: Supervisor) -> Readiness:
    """Whether a removal would be accepted now."""
    removals = services.removals
    if removals.queue_length >= removals.queue_limit:
        raise NotReady(f"The queue is full with {removals.queue_limit} removals.")
    if problem := services.models.life("auto").worker.problem:
        raise NotReady(problem)
    return {"ready": True}


@router.post("/worker/restart", responses=error_responses(ModelUnavailable, Stopping))
async def restart_worker(services: Supervisor, model: _ToRestart = "auto", _: NoBody = None) -> Accepted:
    """End a worker and start a new one; a running removal is put back in the queue, not lost."""
    return {"task_id": services.models.life(model).restart().id}


@router.get("/status")
async def status(services: Supervisor) -> Status:
    """The server, its models, their workers and the queue."""
    models = services.models
    workers = {worker.name: await worker_status(worker) for worker in models.workers}
    return {
        "server": {
            "host": services.address.host,
            "port": services.address.port,
            "pid": os.getpid(),
            "version": __version__,
            "uptime_s": services.uptime_s,
        },
        "models": {"background_removal": await model_status(services)},
        "builtin": {"model_id": builtin_model.MODEL_ID, "available": models.builtin_file.available},
        "worker": workers[models.life("auto").worker.name],
        "workers": workers,
        "queue": {"length": services.removals.queue_length, "limit": services.removals.queue_limit},
    }
