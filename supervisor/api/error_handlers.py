"""How errors are said: one JSON body for all of them, never a trace, never a path of this machine."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match

from shared.errors import (
    BadInput,
    BgremoveError,
    InvalidOption,
    MalformedRequest,
    MethodRefused,
    NotFound,
    QueueFull,
    StorageFailed,
    Unauthorized,
    UploadStalled,
    UploadTooLarge,
)
from shared.options import declared_options

RETRY_AFTER_S = 2
METHODS = ("GET", "HEAD", "POST", "DELETE")  # of all routes
OPTION_NAMES = frozenset(option.name for option in declared_options())
IMAGE_NAMES = frozenset(option.name for option in declared_options() if option.kind == "image")
log = logging.getLogger("supervisor.http")

# Returns the response that tells a client of an error.
ErrorRenderer = Callable[[BgremoveError], Response]
# By path: the routes whose clients, made for another service, read errors in another form.
ErrorFormats = Mapping[str, ErrorRenderer]


class ErrorBody(BaseModel):
    """Every error's body: a sentence for a person, and a code for a machine."""

    detail: str
    code: str


def error_response(error: BgremoveError) -> JSONResponse:
    """Return the response that tells a client of `error`."""
    body = ErrorBody(detail=error.detail, code=error.code)
    return JSONResponse(body.model_dump(), status_code=error.status, headers=retry_headers(error))


def error_responses(*kinds: type[BgremoveError]) -> dict[int | str, dict[str, Any]]:
    """Return what the reference says of a route that may answer with these kinds of errors."""
    said: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        sentence = f"`{kind.code}`: {kind.default_detail}"
        about = said.setdefault(kind.status, {"model": ErrorBody, "description": ""})
        about["description"] = "  \n".join(filter(None, (about["description"], sentence)))
        if retry_headers(kind()):
            about["headers"] = {name: {"schema": {"type": "string"}} for name in retry_headers(kind())}
    return said


def retry_headers(error: BgremoveError) -> dict[str, str]:
    """Return the headers that tell a client when, or with what, to try again."""
    if isinstance(error, QueueFull):
        return {"Retry-After": str(RETRY_AFTER_S)}
    return {"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthorized) else {}


def response_for(path: str, error: BgremoveError, dialects: ErrorFormats) -> Response:
    """Return the response that tells of `error` in the form that the clients of `path` read."""
    return dialects.get(path, error_response)(error)


def install_error_handlers(app: FastAPI, dialects: ErrorFormats) -> None:
    """Make every error that leaves a route speak the one form, or that of the route's dialect."""

    def told(request: Request, error: BgremoveError) -> Response:
        if isinstance(error, StorageFailed):
            reason = {"detail": error.detail, "reason": error.__cause__}
            log.warning("storage failed", extra={"path": request.url.path, **reason})
        return response_for(request.url.path, error, dialects)

    @app.exception_handler(BgremoveError)
    async def known(request: Request, error: BgremoveError) -> Response:
        return told(request, error)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return told(request, _in_words(error.errors()[0]))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        if isinstance(error.__cause__, OSError):  # the form's parser could not keep the upload
            failed = StorageFailed("The temporary folder cannot take the upload.")
            failed.__cause__ = error.__cause__
            return told(request, failed)
        answer = told(request, _from_framework(error))
        answer.headers.update(error.headers or {})
        if error.status_code == MethodRefused.status:
            answer.headers["Allow"] = _methods(request, answer.headers.get("Allow", ""))
        return answer

    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, _: ClientDisconnect) -> Response:
        return told(request, MalformedRequest("The request broke off."))  # said to nobody: no fault of ours

    @app.exception_handler(Exception)
    async def unknown(request: Request, error: Exception) -> Response:
        log.error("route failed", extra={"path": request.url.path}, exc_info=error)
        return told(request, BgremoveError())


def _methods(request: Request, told: str) -> str:
    """Return the methods that an address takes, of which the framework has `told` its first route's alone."""

    def match(route: BaseRoute, method: str) -> Match:
        return route.matches({"type": "http", "path": request.url.path, "method": method})[0]

    # Others take every method themselves, as those of files do, whose refusal is whole.
    routes = [route for route in request.app.routes if match(route, request.method) is Match.PARTIAL]
    taken = {method for method in METHODS for route in routes if match(route, method) is Match.FULL}
    return ", ".join(sorted(taken) or [told])


def _from_framework(error: HTTPException) -> BgremoveError:
    """Return what the framework has found wrong with a request, in this service's words."""
    match error.status_code:
        case 404:
            return NotFound("There is nothing at that address.")
        case 405:
            return MethodRefused()
        case 408:
            return UploadStalled()
        case 413:
            return UploadTooLarge(error.detail)
        case status if status < 500:
            return MalformedRequest(f"The request's body cannot be read: {error.detail.rstrip('.')}.")
    return BgremoveError()


def _in_words(problem: dict[str, Any]) -> BadInput:
    """Turn the first thing that validation found into one sentence."""
    name, told = str(problem["loc"][-1]) if problem["loc"] else "request", problem["msg"]
    match problem["type"]:
        case _ if tuple(problem["loc"]) == ("body",):
            said = "Send a JSON object, and say so in the header Content-Type."
        case "json_invalid":
            said = "The body is not valid JSON."
        case "missing":
            said = f"The field {name!r} is missing."
        case "extra_forbidden" if name in IMAGE_NAMES:
            said = f"The option {name!r} is a file, and goes with an upload only."
        case "extra_forbidden":
            said = f"The field {name!r} is not known."
        case "value_error" if "UploadFile" in told:
            said = f"The field {name!r} is not valid: it is a file, as curl -F {name}=@photo.jpg sends it."
        case _:
            said = f"The field {name!r} is not valid: {told[:1].lower()}{told[1:]}."
    return InvalidOption(said) if name in OPTION_NAMES else BadInput(said)
