"""Routes of the models and their workers: list, download, load, unload, restart, delete."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from typing_extensions import TypedDict

from shared.errors import (
    ModelUnavailable,
    ModelUnusable,
    StillRunning,
    Stopping,
    StorageFailed,
    UnknownModel,
)
from supervisor.api.dependencies import DispatcherDep, ModelsDep, NoBody, Started
from supervisor.api.error_handlers import describe_errors
from supervisor.jobs.dispatcher import Dispatcher
from supervisor.models.lifecycle import Unloaded
from supervisor.models.model_status import ListedModel, list_models
from supervisor.models.registry import Models
from supervisor.tasks.task import Task

router = APIRouter(prefix="/remove", tags=["remove"])
worker_router = APIRouter(prefix="/worker", tags=["server"])
models_router = APIRouter(prefix="/models", tags=["models"])

_MODELS = "a name in the catalogue, a hub id owner/name, builtin, or birefnet, which is the default model"
_ToLoad = Annotated[str, Query(description=f"which model to load: {_MODELS}")]
_ToUnload = Annotated[str | None, Query(description="which model to unload; left out: all")]
_CancelQueued = Annotated[bool, Query(description="cancel the model's removals, which would load it again")]
_ToRestart = Annotated[
    str, Query(description="which model's workers; auto: of the model that auto resolves to now")
]
_Replicas = Annotated[
    int | None, Query(ge=1, description="how many devices are to have it (default: as BGREMOVE_REPLICAS)")
]
_Name = Annotated[str, Path(description=_MODELS, examples=["u2net", "ZhengPeng7/BiRefNet"])]


class ModelList(TypedDict):
    """Every model that can be had here."""

    models: list[ListedModel]


class UnloadedWithQueue(Unloaded):
    """Also how many removals will load the model again, and how many were cancelled."""

    queued: int
    cancelled: int


class Deleted(TypedDict):
    """The size of the files that were deleted, in bytes."""

    freed_bytes: int


@router.post("/download", responses=describe_errors(ModelUnusable, Stopping, StorageFailed))
async def download(models: ModelsDep, _: NoBody = None) -> Started:
    """Download the default model, or what is missing of it; null when all of it is there."""
    return _describe_task(await models.default.files.start())


@router.post("/load", responses=describe_errors(UnknownModel, ModelUnavailable, Stopping))
async def load(
    models: ModelsDep, model: _ToLoad = "birefnet", replicas: _Replicas = None, _: NoBody = None
) -> Started:
    """Load a model into memory, starting its workers if need be; null when it is loaded."""
    return _describe_task(await models.load(model, replicas))


@router.post("/unload", responses=describe_errors(UnknownModel))
async def unload(
    models: ModelsDep,
    dispatcher: DispatcherDep,
    model: _ToUnload = None,
    _: NoBody = None,
    *,
    cancel_queued: _CancelQueued = False,
) -> UnloadedWithQueue:
    """Kill a model's workers, or every one, which frees all memory; answer when they are gone.

    Removals that still wait, and those that ran, load the model again, unless `cancel_queued` is true.
    """
    return await _unload(models, dispatcher, model, cancel_queued=cancel_queued)


@worker_router.post("/restart", responses=describe_errors(UnknownModel, ModelUnavailable, Stopping))
async def restart_worker(models: ModelsDep, model: _ToRestart = "auto", _: NoBody = None) -> Started:
    """End a model's workers and start new ones; a running removal is put back in the queue, not lost."""
    return _describe_task(await models.restart(model))


@models_router.get("")
async def read_models(models: ModelsDep) -> ModelList:
    """Every model that can be had here, and every one found on disk; the default one first."""
    return {"models": await list_models(models)}


@models_router.post(
    "/{name:path}/download", responses=describe_errors(UnknownModel, ModelUnusable, Stopping, StorageFailed)
)
async def download_model(models: ModelsDep, name: _Name, _: NoBody = None) -> Started:
    """Download a model, or what is missing of it; null when all of it is there."""
    return _describe_task(await models.find(name).files.start())


@models_router.post("/{name:path}/load", responses=describe_errors(UnknownModel, ModelUnavailable, Stopping))
async def load_model(models: ModelsDep, name: _Name, replicas: _Replicas = None, _: NoBody = None) -> Started:
    """Load a model on every device, or on some; null when it is loaded."""
    return _describe_task(await models.load(name, replicas))


@models_router.post("/{name:path}/unload", responses=describe_errors(UnknownModel))
async def unload_model(
    models: ModelsDep,
    dispatcher: DispatcherDep,
    name: _Name,
    _: NoBody = None,
    *,
    cancel_queued: _CancelQueued = False,
) -> UnloadedWithQueue:
    """Kill a model's workers, which frees all its memory; answer when they are gone."""
    return await _unload(models, dispatcher, name, cancel_queued=cancel_queued)


@models_router.delete("/{name:path}", responses=describe_errors(UnknownModel, ModelUnusable, StillRunning))
async def delete_model(models: ModelsDep, name: _Name) -> Deleted:
    """Delete a model's downloaded files from the disk."""
    return {"freed_bytes": await models.delete(name)}


async def _unload(
    models: Models, dispatcher: Dispatcher, name: str | None, *, cancel_queued: bool
) -> UnloadedWithQueue:
    wanted = None if name is None else models.find(name).pool.name
    cancelled = await dispatcher.cancel_jobs(wanted) if cancel_queued else 0
    done = await models.unload(name)
    return {**done, "queued": dispatcher.count_jobs(wanted), "cancelled": cancelled}


def _describe_task(task: Task | None) -> Started:
    return {"task_id": task.id if task else None}
