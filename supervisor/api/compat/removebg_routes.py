"""Route compatible with remove.bg's API: an image in, its cut-out out, in one request."""

import asyncio
import base64
from typing import Annotated

from fastapi import APIRouter, Depends, Request, UploadFile
from fastapi.responses import JSONResponse
from starlette.responses import Response

from supervisor.api.compat.removebg_body import decode_base64, read_fields
from supervisor.api.compat.removebg_errors import RemovebgErrors, RemovebgRefusal
from supervisor.api.compat.removebg_options import to_removal_options
from supervisor.api.compat.removebg_request import (
    IMAGE_BACKGROUNDS,
    RemovebgRequest,
    describe_body,
    read_request,
)
from supervisor.api.compat.removebg_response import SIDES, RemovebgResult, accepts_json, make_result_headers
from supervisor.api.dependencies import ClientDep, RateLimiterDep, SettingsDep
from supervisor.api.openapi import describe_files
from supervisor.api.synchronous import SynchronousRemoval
from supervisor.api.upload_route import UploadRoute
from supervisor.api.uploads import InputImage
from supervisor.jobs.result import Result

PREFIX = "/v1.0/"
PATH = f"{PREFIX}removebg"
_RESULT_KINDS = ("image/png", "image/jpeg", "image/webp", "application/zip")

router = APIRouter(tags=["drop-in"], route_class=UploadRoute)


@router.post(
    PATH,
    openapi_extra={"requestBody": describe_body(RemovebgRequest)},
    responses={
        200: {"model": RemovebgResult, "content": describe_files(*_RESULT_KINDS)},
        "4XX": {"model": RemovebgErrors},
        "5XX": {"model": RemovebgErrors},
    },
)
async def removebg(
    request: Request,
    settings: SettingsDep,
    removal: Annotated[SynchronousRemoval, Depends()],
    limiter: RateLimiterDep,
    client: ClientDep,
) -> Response:
    """Remove a background as remove.bg's public API does: an image, or JSON where `Accept` asks for that."""
    limiter.check(client)
    try:
        # Twice, as base64 makes a file longer by a third.
        asked = read_request(RemovebgRequest, await read_fields(request, 2 * settings.max_upload_bytes))
        options, background_field = to_removal_options(asked), asked.find_background()
        image = await _make_input_image(asked, asked.find_source())
        background = None
        if background_field in IMAGE_BACKGROUNDS:
            background = await _make_input_image(asked, background_field)
        result = await removal.run(options, image, background)
    finally:
        await request.close()  # deletes the files that came with the form
    limiter.count(client, result["photo_width"] * result["photo_height"])
    if not result["subject"] or result["box"] is None:
        await removal.delete(result)
        raise RemovebgRefusal("unknown_foreground", "Could not identify foreground in image")
    headers = make_result_headers(asked, result, result["box"]) | limiter.make_headers(client)
    return await _respond(request, removal, result, headers)


async def _make_input_image(asked: RemovebgRequest, field: str) -> InputImage:
    value: UploadFile | str = getattr(asked, field)
    return InputImage(field, await decode_base64(str(value)) if field == "image_file_b64" else value)


async def _respond(
    request: Request, removal: SynchronousRemoval, result: Result, headers: dict[str, str]
) -> Response:
    if not accepts_json(",".join(request.headers.getlist("accept"))):
        return removal.respond(result, headers)
    image = await asyncio.to_thread(removal.get_file(result).path.read_bytes)
    await removal.delete(result)
    position = {f"foreground_{side}": int(headers[f"X-Foreground-{side.title()}"]) for side in SIDES}
    data = {"result_b64": base64.b64encode(image).decode(), **position}
    return JSONResponse({"data": data}, headers=headers)
