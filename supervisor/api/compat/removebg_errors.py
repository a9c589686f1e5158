"""Error format of remove.bg's API: `{"errors": [{"code", "title", "detail"}]}`, with its codes."""

from pydantic import BaseModel
from starlette.responses import JSONResponse

from shared.errors import (
    BadInput,
    BgremoveError,
    DamagedImage,
    NotAnImage,
    QueueFull,
    TooManyPixels,
    Unauthorized,
    UploadTooLarge,
    UrlFailed,
    UrlRefused,
)
from supervisor.api.error_handlers import make_retry_headers
from supervisor.jobs.image_fetch import is_in_field

# Where remove.bg has a code for one of this service's errors; the others keep their own.
_CODES: dict[type[BgremoveError], str] = {
    Unauthorized: "auth_failed",
    NotAnImage: "invalid_file_type",
    DamagedImage: "failed_to_read_image",
    UploadTooLarge: "file_too_large",
    TooManyPixels: "resolution_too_high",
    UrlRefused: "invalid_image_url",
    UrlFailed: "failed_image_download",
    QueueFull: "rate_limit_exceeded",
}
_BACKGROUND_URL = "bg_image_url"
_BACKGROUND_CODES: dict[type[BgremoveError], str] = {
    UrlRefused: "invalid_bg_image_url",
    UrlFailed: "failed_bg_download",
}
_STATUSES = {401: 403, 413: 400, 415: 400, 422: 400}  # remove.bg's, for this service's
_TITLES: dict[type[BgremoveError], str] = {Unauthorized: "API Key invalid"}  # remove.bg's own words


class RemovebgRefusal(BadInput, code="removebg_refusal", status=400):
    """The refusal of a request to remove.bg's route."""

    def __init__(self, removebg_code: str, title: str, detail: str | None = None) -> None:
        super().__init__(detail or title)
        self.removebg_code = removebg_code
        self.title = title


class RemovebgError(BaseModel):
    """One error in remove.bg's format."""

    code: str
    title: str
    detail: str


class RemovebgErrors(BaseModel):
    """The body of every error response of remove.bg's routes."""

    errors: list[RemovebgError]


def render_removebg_error(error: BgremoveError) -> JSONResponse:
    """Return the response for `error` in remove.bg's format."""
    kind = type(error)
    if isinstance(error, RemovebgRefusal):
        code, title = error.removebg_code, error.title
    else:
        codes = _CODES | _BACKGROUND_CODES if is_in_field(_BACKGROUND_URL, error) else _CODES
        code, title = codes.get(kind, error.code), _TITLES.get(kind, kind.default_detail)
    body = RemovebgErrors(errors=[RemovebgError(code=code, title=title, detail=error.detail)])
    status = _STATUSES.get(error.status, error.status)
    return JSONResponse(body.model_dump(), status_code=status, headers=make_retry_headers(error))
