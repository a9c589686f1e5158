"""Routes of the server: liveness, readiness, status and metrics."""

import os
from typing import Any, Literal

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from typing_extensions import TypedDict

from shared.catalog import BUILTIN
from shared.errors import NotReady
from supervisor import __version__
from supervisor.api.dependencies import ContainerDep, DispatcherDep, ModelsDep
from supervisor.api.error_handlers import describe_errors
from supervisor.models.model_status import ModelStatus, read_default_model
from supervisor.observability.metrics import render_metrics
from supervisor.workers.spec import WorkerStatus

router = APIRouter(tags=["server"])
metrics_router = APIRouter(tags=["server"])
_TEXT: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}


class Health(TypedDict):
    """Liveness of the server."""

    status: Literal["ok"]
    version: str
    uptime_s: float


class ServerStatus(TypedDict):
    """Status of the supervisor process."""

    host: str
    port: int
    pid: int
    version: str
    uptime_s: float


class ModelsStatus(TypedDict):
    """Status of the models that are downloaded on demand."""

    background_removal: ModelStatus


class BuiltinStatus(TypedDict):
    """Status of the built-in model."""

    model_id: str
    available: bool


class QueueStatus(TypedDict):
    """The number of removals being fetched, waiting or running, and its limit."""

    length: int
    limit: int


class Status(TypedDict):
    """Status of the server, the models, their workers and the queue."""

    server: ServerStatus
    models: ModelsStatus
    builtin: BuiltinStatus
    worker: WorkerStatus
    workers: list[WorkerStatus]
    queue: QueueStatus


class Readiness(TypedDict):
    """Readiness: a removal would be accepted."""

    ready: Literal[True]


@router.get("/health")
async def health(container: ContainerDep) -> Health:
    """Whether the server answers; never waits for a worker."""
    return {"status": "ok", "version": __version__, "uptime_s": container.uptime_s}


@router.get("/ready", responses=describe_errors(NotReady))
async def ready(dispatcher: DispatcherDep, models: ModelsDep) -> Readiness:
    """Whether a removal would be accepted now."""
    queue = dispatcher.queue
    if len(queue) >= queue.limit:
        raise NotReady(f"The queue is full with {queue.limit} removals.")
    await models.refresh()
    if problem := models.resolve("auto").pool.problem:
        raise NotReady(problem)
    return {"ready": True}


@router.get("/status")
async def status(container: ContainerDep) -> Status:
    """The server, its models, their workers and the queue."""
    models, queue = container.models, container.dispatcher.queue
    default = await read_default_model(container.settings, models)
    has_builtin = await models.builtin.files.refresh() is not None
    workers = await models.worker_status()
    chosen = models.resolve("auto").pool.name
    return {
        "server": {
            "host": container.address.host,
            "port": container.address.port,
            "pid": os.getpid(),
            "version": __version__,
            "uptime_s": container.uptime_s,
        },
        "models": {"background_removal": default},
        "builtin": {"model_id": BUILTIN.model_id, "available": has_builtin},
        "worker": next(worker for worker in workers if worker["model"] == chosen),
        "workers": workers,
        "queue": {"length": len(queue), "limit": queue.limit},
    }


@metrics_router.get("/metrics", response_class=Response, responses=_TEXT)
async def metrics(container: ContainerDep) -> PlainTextResponse:
    """Metrics in Prometheus' text format; also at `/metrics`, which it scrapes by default."""
    workers = await container.models.worker_status()
    queue = container.dispatcher.queue
    text = render_metrics(container.metrics, container.uptime_s, len(queue), queue.limit, workers)
    return PlainTextResponse(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)
