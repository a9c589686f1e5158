"""Route compatible with remove.bg's API: an image in, its cut-out out, in one request."""

import asyncio
import base64
from typing import Annotated

from fastapi import APIRouter, Depends, Request, UploadFile
from fastapi.responses import JSONResponse
from starlette.responses import Response

from supervisor.api.compat.removebg_body import decode_base64, read_fields
from supervisor.api.compat.removebg_errors import RemovebgErrors, RemovebgRefusal
from supervisor.api.compat.removebg_request import IMAGE_BACKGROUNDS, RemovebgRequest, read_request
from supervisor.api.dependencies import SettingsDep
from supervisor.api.multipart import UploadRoute
from supervisor.api.synchronous import SynchronousRemoval
from supervisor.api.uploads import InputImage
from supervisor.jobs.result import Result

PREFIX = "/v1.0/"
PATH = f"{PREFIX}removebg"
_SCHEMA = {"schema": RemovebgRequest.model_json_schema()}
RESULT_HEADERS = (
    *("X-Width", "X-Height", "X-Type", "X-Credits-Charged"),
    *(f"X-Foreground-{side}" for side in ("Left", "Top", "Width", "Height")),
)
_KINDS = ("multipart/form-data", "application/x-www-form-urlencoded", "application/json")
_BODY = {"required": True, "content": dict.fromkeys(_KINDS, _SCHEMA)}

router = APIRouter(tags=["drop-in"], route_class=UploadRoute)


@router.post(
    PATH,
    openapi_extra={"requestBody": _BODY},
    responses={
        200: {"content": {kind: {} for kind in ("image/png", "image/jpeg", "image/webp")}},
        "4XX": {"model": RemovebgErrors},
        "5XX": {"model": RemovebgErrors},
    },
)
async def removebg(
    request: Request, settings: SettingsDep, removal: Annotated[SynchronousRemoval, Depends()]
) -> Response:
    """Remove a background as remove.bg's public API does: an image, or JSON where `Accept` asks for that."""
    try:
        # Twice, as base64 makes a file longer by a third.
        asked = read_request(RemovebgRequest, await read_fields(request, 2 * settings.max_upload_bytes))
        options, background_field = asked.options(), asked.background()
        image = await _input_image(asked, asked.source())
        background = (
            await _input_image(asked, background_field) if background_field in IMAGE_BACKGROUNDS else None
        )
        result = await removal.run(options, image, background)
    finally:
        await request.close()  # deletes the files that came with the form
    if not result["subject"] or result["box"] is None:
        await removal.delete(result)
        raise RemovebgRefusal("unknown_foreground", "Could not identify foreground in image")
    return await _respond(request, asked, removal, result, result["box"])


async def _input_image(asked: RemovebgRequest, field: str) -> InputImage:
    value: UploadFile | str = getattr(asked, field)
    return InputImage(field, await decode_base64(str(value)) if field == "image_file_b64" else value)


async def _respond(
    request: Request,
    asked: RemovebgRequest,
    removal: SynchronousRemoval,
    result: Result,
    box: tuple[int, int, int, int],
) -> Response:
    foreground = dict(zip(("left", "top", "width", "height"), box, strict=True))
    headers = {
        "X-Width": str(result["width"]),
        "X-Height": str(result["height"]),
        "X-Credits-Charged": "0",
        **{f"X-Foreground-{side.title()}": str(value) for side, value in foreground.items()},
    }
    if asked.type_level != "none":  # nothing is detected: the client's own word, or the most general
        headers["X-Type"] = "other" if asked.type == "auto" else asked.type
    if not accepts_json(",".join(request.headers.getlist("accept"))):
        return removal.respond(result, headers)
    image = await asyncio.to_thread(removal.file(result).path.read_bytes)
    await removal.delete(result)
    position = {f"foreground_{side}": value for side, value in foreground.items()}
    data = {"result_b64": base64.b64encode(image).decode(), **position}
    return JSONResponse({"data": data}, headers=headers)


def accepts_json(accept: str) -> bool:
    """Whether an `Accept` header asks for JSON: it names that, and neither an image type nor */*.

    axios sends `application/json, text/plain, */*` by default, and its users save the body as an image.
    """
    kinds = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    return (
        "application/json" in kinds
        and "*/*" not in kinds
        and not any(kind.startswith("image/") for kind in kinds)
    )
