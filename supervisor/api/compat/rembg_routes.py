"""Routes compatible with rembg's server: an image in, a PNG out, in one request."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import FileResponse

from shared.errors import OriginRefused
from shared.options import RemovalOptions
from supervisor.api.compat.rembg_request import RembgForm, RembgOptions, RembgQuery, to_removal_options
from supervisor.api.dependencies import ModelsDep, SettingsDep
from supervisor.api.openapi import describe_files
from supervisor.api.synchronous import DeleteAfterSendResponse, SynchronousRemoval
from supervisor.api.upload_route import UploadRoute
from supervisor.api.uploads import InputImage
from supervisor.models.registry import Models
from supervisor.net.origins import is_allowed_origin

router = APIRouter(
    prefix="/api", tags=["drop-in"], default_response_class=FileResponse, route_class=UploadRoute
)
_PNG: dict[int | str, dict[str, Any]] = {200: {"content": describe_files("image/png")}}


async def _reject_other_sites(request: Request, settings: SettingsDep) -> None:
    """Refuse a cross-origin GET from a browser: unlike other GETs, this one starts a removal.

    Browsers name the page's origin only in some GETs, but its relation to this one in all (Fetch Metadata,
    https://www.w3.org/TR/fetch-metadata/). Raises OriginRefused.
    """
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site", "none")
    if site not in ("none", "same-origin") and not is_allowed_origin(origin, settings.allowed_origins):
        raise OriginRefused


@router.post("/remove", responses=_PNG)
async def remove_file(
    removal: Annotated[SynchronousRemoval, Depends()],
    models: ModelsDep,
    form: Annotated[RembgForm, Form(media_type="multipart/form-data")],
    query: Annotated[RembgOptions, Query()],
) -> DeleteAfterSendResponse:
    """Remove the background of an uploaded photo, as rembg's server does. The form wins over the address."""
    asked = query.model_copy(update=form.model_dump(include=form.model_fields_set - {"file"}))
    result = await removal.run(await _translate(asked, models), InputImage("file", form.file))
    return removal.respond(result)


@router.get("/remove", responses=_PNG, dependencies=[Depends(_reject_other_sites)])
async def remove_url(
    removal: Annotated[SynchronousRemoval, Depends()],
    models: ModelsDep,
    query: Annotated[RembgQuery, Query()],
) -> DeleteAfterSendResponse:
    """Remove the background of the photo at a URL, as rembg's server does."""
    result = await removal.run(await _translate(query, models), InputImage("url", query.url))
    return removal.respond(result)


async def _translate(asked: RembgOptions, models: Models) -> RemovalOptions:
    own = None if asked.model is None else await models.find_rembg(asked.model)
    return to_removal_options(asked, models.default.files.spec, own)
