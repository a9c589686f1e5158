"""Error format of remove.bg's API: `{"errors": [{"code", "title", "detail"}]}`, with its codes."""

from pydantic import BaseModel
from starlette.responses import JSONResponse

from shared.errors import (
    BadInput,
    BgremoveError,
    DamagedImage,
    NotAnImage,
    QueueFull,
    Unauthorized,
    UploadTooLarge,
    UrlFailed,
    UrlRefused,
)
from supervisor.api.error_handlers import retry_headers

# Where remove.bg has a code for one of this service's errors; the others keep their own.
_CODES: dict[type[BgremoveError], tuple[int, str]] = {
    Unauthorized: (403, "auth_failed"),
    NotAnImage: (400, "invalid_file_type"),
    DamagedImage: (400, "failed_to_read_image"),
    UploadTooLarge: (413, "file_too_large"),
    UrlRefused: (400, "invalid_image_url"),
    UrlFailed: (400, "failed_image_download"),
    QueueFull: (429, "rate_limit_exceeded"),
}


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
    """The body of every error response of remove.bg's route."""

    errors: list[RemovebgError]


def removebg_error_response(error: BgremoveError) -> JSONResponse:
    """Return the response for `error` in remove.bg's format."""
    if isinstance(error, RemovebgRefusal):
        status, code, title = error.status, error.removebg_code, error.title
    else:
        status, code = _CODES.get(type(error), (error.status, error.code))
        title = type(error).default_detail
    body = RemovebgErrors(errors=[RemovebgError(code=code, title=title, detail=error.detail)])
    return JSONResponse(body.model_dump(), status_code=status, headers=retry_headers(error))
