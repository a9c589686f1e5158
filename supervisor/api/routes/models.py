"""Routes of the models and their workers: download, load, unload, restart."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from shared.errors import ModelUnavailable, ModelUnusable, Stopping, StorageFailed
from shared.options import ModelChoice
from supervisor.api.dependencies import DownloadsDep, ModelsDep, NoBody, Started
from supervisor.api.error_handlers import error_responses
from supervisor.models.lifecycle import Unloaded
from supervisor.tasks.task import Task

router = APIRouter(prefix="/remove", tags=["remove"])
worker_router = APIRouter(prefix="/worker", tags=["server"])

LoadableModel = Literal["birefnet", "builtin"]
_ToLoad = Annotated[LoadableModel, Query(description="which model to load")]
_ToUnload = Annotated[LoadableModel | None, Query(description="which model to unload; left out: both")]
_ToRestart = Annotated[
    ModelChoice, Query(description="whose worker; auto: that of the model which removals by auto take now")
]


@router.post("/download", responses=error_responses(ModelUnusable, Stopping, StorageFailed))
async def download(downloads: DownloadsDep, _: NoBody = None) -> Started:
    """Download the model, or what is missing of it; null when all of it is there."""
    return _accepted(await downloads.start())


@router.post("/load", responses=error_responses(ModelUnavailable, Stopping))
async def load(models: ModelsDep, model: _ToLoad = "birefnet", _: NoBody = None) -> Started:
    """Load a model into memory, starting its worker if need be; null when it is loaded."""
    return _accepted(await models.load(model))


@router.post("/unload")
async def unload(models: ModelsDep, model: _ToUnload = None, _: NoBody = None) -> Unloaded:
    """Kill a model's worker, or every one, which frees all memory; answer when it is gone.

    Removals that still wait, and the one that ran, load the model again.
    """
    return await (models.resolve(model).unload() if model else models.unload())


@worker_router.post("/restart", responses=error_responses(ModelUnavailable, Stopping))
async def restart_worker(models: ModelsDep, model: _ToRestart = "auto", _: NoBody = None) -> Started:
    """End a worker and start a new one; a running removal is put back in the queue, not lost."""
    return _accepted(await models.restart(model))


def _accepted(task: Task | None) -> Started:
    return {"task_id": task.id if task else None}
