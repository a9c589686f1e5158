"""Routes of removals: a photo by upload or URL, progress as a stream, then the result."""

import asyncio
from collections.abc import AsyncIterable
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Form, Request, UploadFile
from fastapi.responses import Response
from fastapi.sse import ServerSentEvent

from shared.errors import (
    BadInput,
    Cancelled,
    Expired,
    InvalidOption,
    ModelUnavailable,
    NotAnImage,
    NotFound,
    QueueFull,
    StillRunning,
    Stopping,
    StorageFailed,
    UnknownModel,
    UploadStalled,
    UploadTooLarge,
    UrlRefused,
    WorkerStartFailed,
)
from shared.option_descriptions import Option, describe_options
from supervisor.api.dependencies import (
    Accepted,
    BodyOptionsOnly,
    ModelsDep,
    PresetsDep,
    SpoolDep,
    SubmissionDep,
    TaskDep,
    UploadsDep,
    add_callback,
)
from supervisor.api.error_handlers import describe_errors
from supervisor.api.removal_forms import EditForm, UploadForm, UrlRequest
from supervisor.api.sse import STREAM_RESPONSES, EventStream, refuse_ended, stream_events
from supervisor.api.upload_route import UploadRoute
from supervisor.api.uploads import InputImage
from supervisor.jobs.job import ALPHA, BACKGROUND, SOURCE
from supervisor.jobs.result import Result
from supervisor.tasks.task import Task, TaskKind

STREAM_INTERVAL_S = 0.3
_REFUSALS = describe_errors(
    *(BadInput, InvalidOption, UnknownModel, ModelUnavailable),
    *(QueueFull, WorkerStartFailed, Stopping, StorageFailed),
)

options_router = APIRouter(tags=["remove"])
router = APIRouter(prefix="/remove", tags=["remove"], route_class=UploadRoute)


async def _get_finished_removal(task: TaskDep) -> Task:
    if task.kind is not TaskKind.REMOVE:
        raise NotFound("That task is not a removal.")
    if not task.finished:
        raise StillRunning
    return task


FinishedRemoval = Annotated[Task, Depends(_get_finished_removal)]


@options_router.get("/options")
async def options(presets: PresetsDep, models: ModelsDep) -> list[Option]:
    """Every option that an upload, a URL or the command line may carry, in the order to offer them."""
    return describe_options(presets, await models.list_choices())


@options_router.get("/presets")
async def presets(presets: PresetsDep) -> dict[str, dict[str, str | int | bool]]:
    """The options of every preset, by its name."""
    return {name: dict(preset) for name, preset in presets.items()}


@router.post(
    "/upload",
    dependencies=[BodyOptionsOnly],
    responses=_REFUSALS | describe_errors(UploadTooLarge, UploadStalled, NotAnImage),
)
async def upload(
    form: Annotated[UploadForm, Form(media_type="multipart/form-data")],
    uploads: UploadsDep,
    request: Request,
    submission: SubmissionDep,
    presets: PresetsDep,
) -> Accepted:
    """Remove the background of an uploaded photo."""
    task = await uploads.accept(
        form.to_options(presets),
        InputImage("file", form.file),
        add_callback(submission, form.callback_url, request),
        _find_input("background_file", form.background_file),
        _find_input("mask_file", form.mask_file),
    )
    return {"task_id": task.id}


def _find_input(field: str, content: UploadFile | str | None) -> InputImage | None:
    return None if content is None else InputImage(field, content)


@router.post(
    "/edit/{task_id}",
    dependencies=[BodyOptionsOnly],
    responses=_REFUSALS
    | describe_errors(UploadTooLarge, UploadStalled, NotAnImage, NotFound, StillRunning, Expired),
)
async def edit(
    before: FinishedRemoval,
    form: Annotated[EditForm, Form(media_type="multipart/form-data")],
    uploads: UploadsDep,
    spool: SpoolDep,
    request: Request,
    submission: SubmissionDep,
    presets: PresetsDep,
) -> Accepted:
    """Make a new result from a finished removal's photo and matte: no upload, no second inference.

    Options that are sent replace those of the finished removal; an empty field unsets one.
    """
    before.raise_failure()
    finished = spool.results.job(before.id)
    unset = {name for name, value in (await request.form()).multi_items() if value == ""}
    options = form.edit(finished.options, unset, presets)
    background = _find_input("background_file", form.background_file)
    keeps_background = options.background is None and "background" not in unset
    if background is None and finished.background is not None and keeps_background:
        background = InputImage("background_file", spool.path(before.id, BACKGROUND))
    mask = _find_input("mask_file", form.mask_file)
    alpha = spool.path(before.id, ALPHA)
    if mask is None and await asyncio.to_thread(alpha.is_file):  # else a model makes it again
        mask = InputImage("alpha", alpha)
    source = InputImage("file", spool.path(before.id, SOURCE), finished.file_name)
    submission = add_callback(submission, form.callback_url, request)
    task = await uploads.accept(options, source, submission, background, mask)
    return {"task_id": task.id}


@router.post("/url", dependencies=[BodyOptionsOnly], responses=_REFUSALS | describe_errors(UrlRefused))
async def url(
    body: Annotated[UrlRequest, Body()],
    uploads: UploadsDep,
    request: Request,
    submission: SubmissionDep,
    presets: PresetsDep,
) -> Accepted:
    """Remove the background of the photo at a URL."""
    task = await uploads.accept(
        body.to_options(presets),
        InputImage("url", body.url),
        add_callback(submission, body.callback_url, request),
        mask=_find_input("mask_url", body.mask_url),
    )
    return {"task_id": task.id}


@router.get(
    "/stream/{task_id}",
    response_class=EventStream,
    dependencies=[Depends(refuse_ended)],
    responses=STREAM_RESPONSES,
)
async def stream(task: TaskDep) -> AsyncIterable[ServerSentEvent]:
    """The task's progress as server-sent events: its state now, then every change until its end.

    The data of each is what `GET /tasks/{task_id}` answers with. There is at most one every 300 ms, and a
    comment every 15 s. After one whose status is `complete` or `error`, and whose id is `end`, the stream
    ends: close an `EventSource` then. One that reconnects with `Last-Event-ID: end` gets 204, which ends it.
    A stream that ends earlier was cut off by a restart of the service: connect again.
    """
    async for event in stream_events(task, STREAM_INTERVAL_S):
        yield event


@router.get("/result/{task_id}", responses=describe_errors(NotFound, StillRunning, Cancelled, Expired))
async def result(task: FinishedRemoval, spool: SpoolDep) -> Result:
    """A finished removal's result, or the error that it failed with."""
    task.raise_failure()
    return spool.result(task.id)


@router.delete(
    "/result/{task_id}",
    status_code=204,
    response_class=Response,
    responses=describe_errors(NotFound, StillRunning, Expired),
)
async def forget(task: FinishedRemoval, spool: SpoolDep) -> None:
    """Delete a finished removal's photo and result immediately, before they expire."""
    await spool.withdraw(task.id)
