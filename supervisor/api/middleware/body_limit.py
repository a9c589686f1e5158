"""Middleware that limits request bodies: their size, the time between two chunks, charset and encoding."""

import asyncio
from collections.abc import Collection

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.errors import (
    BgremoveError,
    EncodingRefused,
    MalformedRequest,
    QueueFull,
    UploadStalled,
    UploadTooLarge,
)
from supervisor.api.error_handlers import ErrorFormats, render_error_for
from supervisor.api.field_limits import CHARSETS

UPLOAD_PATHS = frozenset({"/api/v1/remove/upload", "/api/remove", "/v1.0/removebg", "/v1.0/improve"})
EDIT_PATH = "/api/v1/remove/edit/"  # and a task id
MAX_FILES = 2  # a photo, and an image to put behind it
OVERHEAD_BYTES = 1024**2  # what a request's other fields may add to its files
STALL_TIMEOUT_S = 60.0  # without a byte of the body; a client that loses its network sends no FIN
MAX_TEXT_BYTES = 64 * 1024  # parsed in one go on the event loop
LARGE_BODIES = 2  # of the largest size that all bodies held in memory may have together
SLOW_BYTES_PER_S, SLOW_AFTER_S = 256 * 1024, 10.0  # bodies that are slower leave the budget when it is full
TOO_MANY = "Too many large requests are being received; try again shortly, or send photos as files."
TOO_LARGE = "The request is larger than this service accepts."
TOO_LONG = "A request of JSON or text may have 64 KiB: send a photo as a file of a form, as curl -F does."


class BodyLimitMiddleware:
    """Refuses bodies that are too large or stall. On `base64_paths` a text may hold a photo in base64.

    Files go to the disk; the bodies that are held in memory share a budget. When it is full, slow ones are
    given up: two clients that trickle could otherwise keep all others out.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_upload_bytes: int,
        base64_paths: Collection[str],
        formats: ErrorFormats,
        stall_timeout_s: float = STALL_TIMEOUT_S,
    ) -> None:
        self._app = app
        self._max_form_bytes = MAX_FILES * max_upload_bytes + OVERHEAD_BYTES
        # A third more than the file, and what escapes take: three bytes for each +, / and line break.
        self._max_base64_bytes = max_upload_bytes * 3 // 2 + OVERHEAD_BYTES
        self._base64_paths = base64_paths
        self._formats = formats
        self._stall_timeout_s = stall_timeout_s
        self._free_bytes = LARGE_BODIES * self._max_base64_bytes
        self._held: set[_Body] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a bounded body, or answer with the error."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        limit_bytes = self._limit_bytes(scope["path"], headers)
        try:
            _check_length(headers, limit_bytes)
            _check_charset(headers.get("content-type", ""))
            _check_encoding(headers.get("content-encoding", ""))
        except BgremoveError as error:
            await render_error_for(scope, error, self._formats)(scope, receive, send)
            return
        body = _Body(receive, limit_bytes, self._stall_timeout_s)
        if limit_bytes == self._max_base64_bytes:
            await self._receive_within_budget(body, scope, send)
        else:
            await self._app(scope, body.receive, send)

    async def _receive_within_budget(self, body: "_Body", scope: Scope, send: Send) -> None:
        """Pass on a request whose body is held in memory; count it against the budget until the response."""

        async def receive() -> Message:
            message = await body.receive()
            size_bytes = len(message.get("body", b""))
            if size_bytes > self._free_bytes:
                self._give_up_slow()
            if size_bytes > self._free_bytes:
                raise HTTPException(QueueFull.status, TOO_MANY)
            self._free_bytes -= size_bytes
            body.held_bytes += size_bytes
            return message

        self._held.add(body)
        try:
            await self._app(scope, receive, send)
        finally:
            self._held.remove(body)
            self._free_bytes += body.held_bytes

    def _give_up_slow(self) -> None:
        for body in self._held:
            if body.is_slow():
                body.give_up()
                self._free_bytes += body.held_bytes
                body.held_bytes = 0

    def _limit_bytes(self, path: str, headers: Headers) -> int:
        """Return a body's maximum size: images go to the disk, all else is held in memory."""
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if (path in UPLOAD_PATHS or path.startswith(EDIT_PATH)) and kind.startswith(("multipart/", "image/")):
            return self._max_form_bytes
        return self._max_base64_bytes if path in self._base64_paths else MAX_TEXT_BYTES


def _check_length(headers: Headers, limit_bytes: int) -> None:
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length) > limit_bytes:
        raise UploadTooLarge(_describe_limit(limit_bytes))


def _check_charset(content_type: str) -> None:
    kind, parameters = parse_options_header(content_type)  # as Starlette parses it
    if kind.startswith(b"multipart/") and parameters.get(b"charset", b"utf-8").lower() not in CHARSETS:
        raise MalformedRequest("A form's charset must be utf-8, us-ascii or iso-8859-1.")


def _check_encoding(encoding: str) -> None:
    if encoding.strip().lower() not in ("", "identity"):
        raise EncodingRefused


class _Body:
    """The body of one request, received within its limits.

    Errors are HTTPExceptions: FastAPI answers any other one that is raised while it reads with 400.
    """

    def __init__(self, receive: Receive, limit_bytes: int, stall_timeout_s: float) -> None:
        self._receive = receive
        self._limit_bytes = limit_bytes
        self._stall_timeout_s = stall_timeout_s
        self._received_bytes = 0
        self._more = True
        self._started_s = asyncio.get_running_loop().time()
        self._timeout: asyncio.Timeout | None = None
        self._is_given_up = False
        self.held_bytes = 0  # of the budget

    async def receive(self) -> Message:
        """Receive a message; count its bytes, as a chunked body announces no length."""
        try:
            # After the body comes the client's disconnect, which has no time limit.
            async with asyncio.timeout(self._stall_timeout_s if self._more else None) as self._timeout:
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(UploadStalled.status) from None
        finally:
            self._timeout = None
        if self._is_given_up:  # as this message arrived
            raise HTTPException(UploadStalled.status)
        if message["type"] == "http.request":
            self._received_bytes += len(message.get("body", b""))
            self._more = message.get("more_body", False)
            if self._received_bytes > self._limit_bytes:
                raise HTTPException(UploadTooLarge.status, _describe_limit(self._limit_bytes))
        return message

    def is_slow(self) -> bool:
        """Whether the next chunk is awaited, and the chunks so far came too slowly to wait for it."""
        age_s = asyncio.get_running_loop().time() - self._started_s
        is_awaited = self._more and self._timeout is not None
        return is_awaited and age_s > SLOW_AFTER_S and self._received_bytes < SLOW_BYTES_PER_S * age_s

    def give_up(self) -> None:
        """Let `receive`, which waits, raise the error of a stalled upload."""
        self._is_given_up = True
        if self._timeout is not None:
            self._timeout.reschedule(asyncio.get_running_loop().time())


def _describe_limit(limit_bytes: int) -> str:
    return TOO_LONG if limit_bytes == MAX_TEXT_BYTES else TOO_LARGE
