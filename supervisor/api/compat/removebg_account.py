"""Routes of remove.bg's API for the account and for feedback, which its clients call."""

import uuid

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import Field
from typing_extensions import TypedDict

from supervisor.api.compat.removebg_body import read_fields
from supervisor.api.compat.removebg_errors import RemovebgErrors
from supervisor.api.compat.removebg_request import ImageSources, describe_body, read_request
from supervisor.api.dependencies import ClientDep, RateLimiterDep, SettingsDep
from supervisor.api.upload_route import UploadRoute

IMPROVE_PATH = "/v1.0/improve"
CREDITS = 1_000_000  # never charged; programs do not start without any

router = APIRouter(
    tags=["drop-in"],
    route_class=UploadRoute,
    responses={"4XX": {"model": RemovebgErrors}, "5XX": {"model": RemovebgErrors}},
)


class ImproveRequest(ImageSources):
    """The parameters of remove.bg's `POST /v1.0/improve`."""

    image_filename: str | None = Field(None, description="the photo's file name; without effect")
    tag: str | None = Field(None, description="without effect")


class Credits(TypedDict):
    """The credits of an account."""

    subscription: int
    payg: int
    enterprise: int
    total: int


class FreeCalls(TypedDict):
    """What an account may call for free."""

    free_calls: int
    sizes: str


class AccountAttributes(TypedDict):
    """The attributes of an account."""

    credits: Credits
    api: FreeCalls


class AccountData(TypedDict):
    """An account."""

    attributes: AccountAttributes


class Account(TypedDict):
    """The answer of `GET /v1.0/account`."""

    data: AccountData


class Feedback(TypedDict):
    """The answer of `POST /v1.0/improve`."""

    id: str


@router.get("/v1.0/account", response_model=Account)
async def account(limiter: RateLimiterDep, client: ClientDep) -> JSONResponse:
    """Report credits as remove.bg's API does; programs mostly ask whether their key is valid."""
    # Exactly these keys: the Ruby client passes them as keyword arguments.
    credit = {"subscription": 0, "payg": CREDITS, "enterprise": 0, "total": CREDITS}
    attributes = {"credits": credit, "api": {"free_calls": CREDITS, "sizes": "all"}}
    return JSONResponse({"data": {"attributes": attributes}}, headers=limiter.make_headers(client))


@router.post(IMPROVE_PATH, openapi_extra={"requestBody": describe_body(ImproveRequest)})
async def improve(request: Request, settings: SettingsDep) -> Feedback:
    """Accept a photo as feedback and delete it: models are not trained here. A URL is not fetched."""
    try:
        fields = await read_fields(request, 2 * settings.max_upload_bytes)
        read_request(ImproveRequest, fields).find_source()
    finally:
        await request.close()  # deletes the files that came with the form
    return {"id": str(uuid.uuid4())}
