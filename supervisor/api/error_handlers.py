"""Exception handlers: map exceptions to the JSON error body, without traces or paths of this machine."""

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
from starlette.types import Scope

from shared.errors import (
    BadInput,
    BgremoveError,
    InvalidOption,
    MalformedRequest,
    MethodRefused,
    NotFound,
    Overloaded,
    QueueFull,
    StorageFailed,
    Unauthorized,
    UploadStalled,
    UploadTooLarge,
)
from shared.option_descriptions import BACKGROUND_FILE, describe_options
from supervisor.api.field_limits import quote_text
from supervisor.api.rate_limit import RateLimitExceeded
from supervisor.api.refusal_log import log_refusal

RETRY_AFTER_S = 2
METHODS = ("GET", "HEAD", "POST", "DELETE")  # of all routes
OPTION_NAMES = frozenset(option.name for option in describe_options())
log = logging.getLogger("supervisor.http")

# Renders an error as a response.
ErrorRenderer = Callable[[BgremoveError], Response]
# By prefix of the path: routes that are compatible with another service, and render errors as it does.
ErrorFormats = Mapping[str, ErrorRenderer]


class ErrorBody(BaseModel):
    """The body of every error response: a sentence for people, and a code for programs."""

    detail: str
    code: str


def render_error(error: BgremoveError) -> JSONResponse:
    """Return the response for `error` in this service's own format."""
    body = ErrorBody(detail=error.detail, code=error.code)
    return JSONResponse(body.model_dump(), status_code=error.status, headers=make_retry_headers(error))


def describe_errors(*kinds: type[BgremoveError]) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of a route that may fail with these kinds of errors."""
    responses: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        sentence = f"`{kind.code}`: {kind.default_detail}"
        response = responses.setdefault(kind.status, {"model": ErrorBody, "description": ""})
        response["description"] = "  \n".join(filter(None, (response["description"], sentence)))
        if headers := make_retry_headers(kind()):
            response["headers"] = {name: {"schema": {"type": "string"}} for name in headers}
    return responses


def make_retry_headers(error: BgremoveError) -> dict[str, str]:
    """Return the headers that say when, or with which credentials, a client may retry."""
    if isinstance(error, RateLimitExceeded):
        return dict(error.headers)
    if isinstance(error, QueueFull | Overloaded):
        return {"Retry-After": str(RETRY_AFTER_S)}
    return {"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthorized) else {}


def render_error_for(scope: Scope, error: BgremoveError, formats: ErrorFormats) -> Response:
    """Return the response for `error`, in the format of the path's routes, and log a refusal."""
    log_refusal(scope, error)
    renderers = (render for prefix, render in formats.items() if scope["path"].startswith(prefix))
    return next(renderers, render_error)(error)


def install_error_handlers(app: FastAPI, formats: ErrorFormats) -> None:
    """Register exception handlers for the JSON error format, or the compatible format of the route."""

    def render(request: Request, error: BgremoveError) -> Response:
        if isinstance(error, StorageFailed):
            reason = {"detail": error.detail, "reason": error.__cause__}
            log.warning("storage failed", extra={"path": request.url.path, **reason})
        return render_error_for(request.scope, error, formats)

    @app.exception_handler(BgremoveError)
    async def handle_known(request: Request, error: BgremoveError) -> Response:
        return render(request, error)

    @app.exception_handler(RequestValidationError)
    async def handle_invalid(request: Request, error: RequestValidationError) -> Response:
        return render(request, _convert_validation_error(error.errors()[0]))

    @app.exception_handler(HTTPException)
    async def handle_http(request: Request, error: HTTPException) -> Response:
        if isinstance(error.__cause__, OSError):  # the form's parser could not write the upload
            failed = StorageFailed("The temporary folder cannot take the upload.")
            failed.__cause__ = error.__cause__
            return render(request, failed)
        response = render(request, _convert_framework_error(error))
        response.headers.update(error.headers or {})
        if error.status_code == MethodRefused.status:
            response.headers["Allow"] = _find_allowed_methods(request, response.headers.get("Allow", ""))
        return response

    @app.exception_handler(ClientDisconnect)
    async def handle_disconnect(request: Request, _: ClientDisconnect) -> Response:
        return render(request, MalformedRequest("The request broke off."))  # which nobody receives

    @app.exception_handler(Exception)
    async def handle_unknown(request: Request, error: Exception) -> Response:
        return render(request, _convert_unknown_error(error, request.url.path))


def _find_allowed_methods(request: Request, first_route: str) -> str:
    """Return the methods that a path accepts; the framework's answer has those of its first route only."""

    def match(route: BaseRoute, method: str) -> Match:
        return route.matches({"type": "http", "path": request.url.path, "method": method})[0]

    # Others accept every method themselves, as those of static files do, whose refusal is complete.
    routes = [route for route in request.app.routes if match(route, request.method) is Match.PARTIAL]
    allowed = {method for method in METHODS for route in routes if match(route, method) is Match.FULL}
    return ", ".join(sorted(allowed) or [first_route])


def _convert_framework_error(error: HTTPException) -> BgremoveError:
    """Return this service's error for one that the framework raised."""
    known: dict[int, BgremoveError] = {
        404: NotFound("There is nothing at that address."),
        405: MethodRefused(),
        408: UploadStalled(),
        413: UploadTooLarge(error.detail),
        422: BadInput(error.detail),
        429: QueueFull(error.detail),
    }
    if error.status_code in known:
        return known[error.status_code]
    if error.status_code < 500:
        return MalformedRequest(f"The request's body cannot be read: {error.detail.rstrip('.')}.")
    return BgremoveError()


def _convert_unknown_error(error: Exception, path: str) -> BgremoveError:
    """Return the error for an exception that no route handles, and log it."""
    if isinstance(error, RuntimeError) and str(error) == "can't start new thread":
        log.warning("request refused", extra={"path": path, "reason": "no more threads"})
        return Overloaded()
    log.error("request failed", extra={"path": path}, exc_info=error)
    return BgremoveError()


def _convert_validation_error(problem: dict[str, Any]) -> BadInput:
    """Return the error for the first problem that validation found, in one sentence."""
    name, message = str(problem["loc"][-1]) if problem["loc"] else "request", problem["msg"]
    quoted = quote_text(name)
    match problem["type"]:
        case _ if tuple(problem["loc"]) == ("body",):
            sentence = "Send a JSON object, and say so in the header Content-Type."
        case "json_invalid":
            sentence = "The body is not valid JSON."
        case "missing":
            sentence = f"The field {quoted} is missing."
        case "extra_forbidden" if name == BACKGROUND_FILE.name:
            sentence = f"The option {quoted} is a file, and goes with an upload only."
        case "extra_forbidden":
            sentence = f"The field {quoted} is not known."
        case "value_error" if "UploadFile" in message:
            example = f"curl -F {quoted[1:-1]}=@photo.jpg"
            sentence = f"The field {quoted} is not valid: it is a file, as {example} sends it."
        case _:
            sentence = f"The field {quoted} is not valid: {message[:1].lower()}{message[1:]}."
    return InvalidOption(sentence) if name in OPTION_NAMES else BadInput(sentence)
