"""rembg's route: a photo in, a PNG out, in one request."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import FileResponse

from shared.errors import OriginRefused
from supervisor.api.compat.rembg_request import RembgForm, RembgOptions, RembgQuery, removal_options
from supervisor.api.dependencies import Supervisor
from supervisor.api.synchronous import DeleteAfterSendResponse, finish
from supervisor.api.uploads import Sent, start

router = APIRouter(prefix="/api", tags=["drop-in"], default_response_class=FileResponse)
_PNG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}}}


async def _not_for_other_pages(request: Request, services: Supervisor) -> None:
    """Refuse a GET that another page made a browser send: unlike others, this one makes work.

    Browsers name the page's origin only in some GETs, but its relation to this one in all (Fetch Metadata,
    https://www.w3.org/TR/fetch-metadata/). Raises OriginRefused.
    """
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site", "none")
    if site not in ("none", "same-origin") and origin not in services.settings.allowed_origins:
        raise OriginRefused


@router.post("/remove", responses=_PNG)
async def remove_file(
    request: Request,
    services: Supervisor,
    form: Annotated[RembgForm, Form(media_type="multipart/form-data")],
    query: Annotated[RembgOptions, Query()],
) -> DeleteAfterSendResponse:
    """Remove the background of an uploaded photo, as rembg's server does. The form wins over the address."""
    asked = query.model_copy(update=form.model_dump(include=form.model_fields_set - {"file"}))
    options = removal_options(asked, services.model_store.spec)
    task = await start(services, options, Sent("file", form.file))
    await finish(request, services, task)
    return DeleteAfterSendResponse(services, task)


@router.get("/remove", responses=_PNG, dependencies=[Depends(_not_for_other_pages)])
async def remove_url(
    request: Request, services: Supervisor, query: Annotated[RembgQuery, Query()]
) -> DeleteAfterSendResponse:
    """Remove the background of the photo at a URL, as rembg's server does."""
    options = removal_options(query, services.model_store.spec)
    task = await start(services, options, Sent("url", query.url))
    await finish(request, services, task)
    return DeleteAfterSendResponse(services, task)
