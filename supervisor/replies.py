"""How errors are said: one JSON body for all of them, never a trace, never a path of this machine."""

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from shared.errors import (
    BadInput,
    BgremoveError,
    InvalidOption,
    NotFound,
    QueueFull,
    StorageFailed,
    Unauthorized,
    UploadTooLarge,
)
from shared.options import declared_options

RETRY_AFTER_S = 2
OPTION_NAMES = frozenset(option.name for option in declared_options())
log = logging.getLogger("supervisor.http")


class ErrorBody(BaseModel):
    """Every error's body: a sentence for a person, and a code for a machine."""

    detail: str
    code: str


def error_response(error: BgremoveError) -> JSONResponse:
    """Return the response that tells a client of `error`."""
    headers = {}
    if isinstance(error, QueueFull):
        headers["Retry-After"] = str(RETRY_AFTER_S)
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    body = ErrorBody(detail=error.detail, code=error.code)
    return JSONResponse(body.model_dump(), status_code=error.status, headers=headers)


def install_error_handlers(app: FastAPI) -> None:
    """Make every error that leaves a route speak the one form."""

    @app.exception_handler(BgremoveError)
    async def known(_: Request, error: BgremoveError) -> JSONResponse:
        return error_response(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return error_response(_in_words(error.errors()[0]))

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> JSONResponse:
        if isinstance(error.__cause__, OSError):  # the form's parser could not keep the upload
            return error_response(StorageFailed("The temporary folder cannot take the upload."))
        known = {404: NotFound("There is nothing at that address."), 413: UploadTooLarge()}
        if error.status_code in known:
            return error_response(known[error.status_code])
        code = "invalid_request" if error.status_code < 500 else BgremoveError.code
        body = ErrorBody(detail=str(error.detail), code=code)
        return JSONResponse(body.model_dump(), status_code=error.status_code, headers=error.headers)

    @app.exception_handler(Exception)
    async def unknown(request: Request, error: Exception) -> JSONResponse:
        log.error("route failed", extra={"path": request.url.path}, exc_info=error)
        return error_response(BgremoveError())


def _in_words(problem: dict[str, Any]) -> BadInput:
    """Turn the first thing that validation found into one sentence."""
    name = str(problem["loc"][-1]) if problem["loc"] else "request"
    match problem["type"]:
        case "missing":
            return BadInput(f"The field {name!r} is missing.")
        case "extra_forbidden" if name in OPTION_NAMES:
            return InvalidOption(f"The option {name!r} is a file, and goes with an upload only.")
        case "extra_forbidden":
            return BadInput(f"The field {name!r} is not known.")
        case "json_invalid":
            return BadInput("The body is not valid JSON.")
    sentence = f"The field {name!r} is not valid: {problem['msg'].lower()}."
    return InvalidOption(sentence) if name in OPTION_NAMES else BadInput(sentence)
