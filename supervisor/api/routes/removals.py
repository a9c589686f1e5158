"""Removals: a photo in by upload or URL, progress out, then the result."""

from collections.abc import AsyncIterable
from typing import Annotated, Any, Literal, get_type_hints

from fastapi import APIRouter, Body, Depends, Form, Query, UploadFile
from fastapi.responses import Response
from fastapi.sse import ServerSentEvent
from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from shared.errors import (
    BadInput,
    Cancelled,
    Expired,
    InvalidOption,
    ModelUnavailable,
    ModelUnusable,
    NotAnImage,
    NotFound,
    QueueFull,
    StillRunning,
    Stopping,
    StorageFailed,
    UploadStalled,
    UploadTooLarge,
    UrlRefused,
    WorkerStartFailed,
)
from shared.options import RemovalOptions, declared_options
from supervisor.api.dependencies import (
    Accepted,
    AsksInTheBody,
    EventStream,
    KnownTask,
    NoBody,
    Supervisor,
    task_events,
)
from supervisor.api.error_handlers import error_responses
from supervisor.api.openapi import describe_form_fields
from supervisor.api.uploads import Sent, start
from supervisor.jobs.spool import Result
from supervisor.jobs.task import Task, TaskKind
from supervisor.models.lifecycle import Unloaded

STREAM_INTERVAL_S = 0.3
_REFUSALS = error_responses(BadInput, InvalidOption, QueueFull, WorkerStartFailed, Stopping, StorageFailed)

router = APIRouter(prefix="/remove", tags=["remove"])

_TYPES = get_type_hints(RemovalOptions)
_OPTIONS: dict[str, Any] = {
    option.name: (
        _TYPES[option.name],
        Field(option.default, description=option.help, ge=option.minimum, le=option.maximum),
    )
    for option in declared_options()
    if option.kind != "image"
}
_IMAGES: dict[str, Any] = {
    option.name: (UploadFile | None, Field(None, description=option.help))
    for option in declared_options()
    if option.kind == "image"
}
LoadableModel = Literal["birefnet", "builtin"]
_ToLoad = Annotated[LoadableModel, Query(description="which model to load")]
_ToUnload = Annotated[LoadableModel | None, Query(description="which model to unload; left out: both")]
_STRICT = ConfigDict(extra="forbid", json_schema_extra=describe_form_fields)
UploadForm = create_model(
    "UploadForm",
    __config__=_STRICT,
    file=(UploadFile, Field(description="the photo")),
    **_OPTIONS,
    **_IMAGES,
)


async def _finished_removal(task: KnownTask) -> Task:
    if task.kind is not TaskKind.REMOVE:
        raise NotFound("That task is not a removal.")
    if not task.finished:
        raise StillRunning
    return task


FinishedRemoval = Annotated[Task, Depends(_finished_removal)]


class _AsInForms(BaseModel):
    """JSON that is read as forms are: 20 is as good as "20", and what is empty is left out."""

    model_config = ConfigDict(
        extra="forbid", coerce_numbers_to_str=True, json_schema_extra=describe_form_fields
    )

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, sent: object) -> object:
        if not isinstance(sent, dict):
            return sent
        return {name: value for name, value in sent.items() if value != ""}


UrlRequest = create_model(
    "UrlRequest",
    __base__=_AsInForms,
    url=(str, Field(strict=True, description="where the photo lies, http or https")),
    **_OPTIONS,
)


@router.post(
    "/upload",
    dependencies=[AsksInTheBody],
    responses=_REFUSALS | error_responses(UploadTooLarge, UploadStalled, NotAnImage),
)
async def upload(
    form: Annotated[UploadForm, Form(media_type="multipart/form-data")],  # type: ignore[valid-type]
    services: Supervisor,
) -> Accepted:
    """Remove the background of an uploaded photo."""
    photo: UploadFile = form.file  # type: ignore[attr-defined]  # the model is made from the option table
    background: UploadFile | None = form.background_file  # type: ignore[attr-defined]  # so is this
    behind = None if background is None else Sent("background_file", background)
    return {"task_id": (await start(services, _options(form), Sent("file", photo), behind)).id}


@router.post("/url", dependencies=[AsksInTheBody], responses=_REFUSALS | error_responses(UrlRefused))
async def url(body: Annotated[UrlRequest, Body()], services: Supervisor) -> Accepted:  # type: ignore[valid-type]
    """Remove the background of the photo at a URL."""
    address: str = body.url  # type: ignore[attr-defined]
    return {"task_id": (await start(services, _options(body), Sent("url", address))).id}


@router.get("/stream/{task_id}", response_class=EventStream, responses=error_responses(NotFound, Expired))
async def stream(task: KnownTask) -> AsyncIterable[ServerSentEvent]:
    """The task's progress as server-sent events: its state now, then every change until its end.

    The data of each is what `GET /tasks/{task_id}` answers with. There is at most one every 300 ms,
    and a comment every 15 s. After one whose status is `complete` or `error` the stream ends: close an
    `EventSource` then, which would connect again for ever.
    """
    async for event in task_events(task, STREAM_INTERVAL_S):
        yield event


@router.get("/result/{task_id}", responses=error_responses(NotFound, StillRunning, Cancelled, Expired))
async def result(task: FinishedRemoval, services: Supervisor) -> Result:
    """A finished removal's result, or the error that it failed with."""
    task.raise_failure()
    return services.removals.result(task)


@router.delete(
    "/result/{task_id}",
    status_code=204,
    response_class=Response,
    responses=error_responses(NotFound, StillRunning, Expired),
)
async def forget(task: FinishedRemoval, services: Supervisor) -> None:
    """Delete a finished removal's photo and result at once, not only when they expire."""
    await services.removals.forget(task)


@router.post("/download", responses=error_responses(ModelUnusable, Stopping, StorageFailed))
async def download(services: Supervisor, _: NoBody = None) -> Accepted:
    """Download the model, or what is missing of it; null when all of it is there."""
    task = services.downloads.start()
    return {"task_id": task.id if task else None}


@router.post("/load", responses=error_responses(ModelUnavailable, Stopping))
async def load(services: Supervisor, model: _ToLoad = "birefnet", _: NoBody = None) -> Accepted:
    """Load a model into memory, starting its worker if need be; null when it is loaded."""
    task = services.models.life(model).load()
    return {"task_id": task.id if task else None}


@router.post("/unload")
async def unload(services: Supervisor, model: _ToUnload = None, _: NoBody = None) -> Unloaded:
    """Kill a model's worker, or every one, which frees all memory; answer when it is gone.

    Removals that still wait, and the one that ran, load the model again.
    """
    models = services.models
    return await (models.life(model).unload() if model else models.unload())


def _options(request: BaseModel) -> RemovalOptions:
    return RemovalOptions(**{name: getattr(request, name) for name in _OPTIONS})
