"""remove.bg's route: a photo in, its cut-out out, in one request."""

import asyncio
import base64

from fastapi import APIRouter, Request, UploadFile
from fastapi.responses import JSONResponse
from starlette.responses import Response

from supervisor.api.compat.removebg_body import decoded, fields_of
from supervisor.api.compat.removebg_errors import RemovebgErrors, RemovebgRefusal
from supervisor.api.compat.removebg_request import IMAGE_BACKGROUNDS, RemovebgRequest, read_request
from supervisor.api.dependencies import Supervisor
from supervisor.api.synchronous import DeleteAfterSendResponse, finish
from supervisor.api.uploads import Sent, start
from supervisor.container import Container
from supervisor.jobs.spool import Result
from supervisor.jobs.task import Task

PATH = "/v1.0/removebg"
_SCHEMA = {"schema": RemovebgRequest.model_json_schema()}
RESULT_HEADERS = (
    *("X-Width", "X-Height", "X-Type", "X-Credits-Charged"),
    *(f"X-Foreground-{side}" for side in ("Left", "Top", "Width", "Height")),
)
_KINDS = ("multipart/form-data", "application/x-www-form-urlencoded", "application/json")
_BODY = {"required": True, "content": dict.fromkeys(_KINDS, _SCHEMA)}

router = APIRouter(tags=["drop-in"])


@router.post(
    PATH,
    openapi_extra={"requestBody": _BODY},
    responses={
        200: {"content": {kind: {} for kind in ("image/png", "image/jpeg", "image/webp")}},
        "4XX": {"model": RemovebgErrors},
        "5XX": {"model": RemovebgErrors},
    },
)
async def removebg(request: Request, services: Supervisor) -> Response:
    """Remove a background as remove.bg's public API does: an image, or JSON where `Accept` asks for that."""
    try:
        # Twice, as base64 makes a file longer by a third.
        asked = read_request(await fields_of(request, 2 * services.settings.max_upload_bytes))
        task = await _start(services, asked)
    finally:
        await request.close()  # with it the files that came with the form
    result = await finish(request, services, task)
    return await _answer(request, services, asked, task, result)


async def _start(services: Container, asked: RemovebgRequest) -> Task:
    options, background = asked.options(), asked.background()
    photo = await _sent(asked, asked.source())
    behind = await _sent(asked, background) if background in IMAGE_BACKGROUNDS else None
    return await start(services, options, photo, behind)


async def _sent(asked: RemovebgRequest, field: str) -> Sent:
    value: UploadFile | str = getattr(asked, field)
    return Sent(field, await decoded(str(value)) if field == "image_file_b64" else value)


async def _answer(
    request: Request, services: Container, asked: RemovebgRequest, task: Task, result: Result
) -> Response:
    if not result["subject"] or result["box"] is None:
        await services.removals.forget(task)
        raise RemovebgRefusal("unknown_foreground", "Could not identify foreground in image")
    foreground = dict(zip(("left", "top", "width", "height"), result["box"], strict=True))
    headers = {
        "X-Width": str(result["width"]),
        "X-Height": str(result["height"]),
        "X-Credits-Charged": "0",
        **{f"X-Foreground-{side.title()}": str(value) for side, value in foreground.items()},
    }
    if asked.type_level != "none":  # nothing is detected: the client's own word, or the most general
        headers["X-Type"] = "other" if asked.type == "auto" else asked.type
    if "application/json" not in request.headers.get("accept", ""):
        return DeleteAfterSendResponse(services, task, headers)
    stored = services.results.get(result["result_file_id"])
    image = await asyncio.to_thread(stored.path.read_bytes)
    await services.removals.forget(task)
    position = {f"foreground_{side}": value for side, value in foreground.items()}
    data = {"result_b64": base64.b64encode(image).decode(), **position}
    return JSONResponse({"data": data}, headers=headers)
