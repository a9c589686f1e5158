"""Who may talk to the service: host names, origins, the token, and how much may be sent."""

import asyncio
import hmac
from collections.abc import Collection, Sequence
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.errors import (
    BgremoveError,
    HostRefused,
    MalformedRequest,
    OriginRefused,
    Unauthorized,
    UploadStalled,
    UploadTooLarge,
)
from supervisor.api.error_handlers import ErrorFormats, response_for
from supervisor.web.page import PREFIX

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# The page asks for the token itself: it and its files hold nothing that is worth one.
OPEN_PATHS = frozenset({"/api/v1/health", "/"})
OPEN_FOLDER = f"{PREFIX}/"
MAX_FILES = 2  # a photo, and an image to put behind it
OVERHEAD_BYTES = 1024**2  # what a request's other fields may add to its files
STALL_TIMEOUT_S = 60.0  # without a byte of the body; a phone that has left the network says no goodbye
MAX_TEXT_BYTES = 64 * 1024  # parsed in one go, while nobody else is served
TEXT_KINDS = ("json", "urlencoded")
# Starlette decodes a form's texts with any codec that the request names: punycode takes minutes for a
# megabyte, while nobody else is served; unicode_escape makes texts that cannot be written again.
FORM_CHARSETS = frozenset({b"utf-8", b"utf8", b"us-ascii", b"iso-8859-1"})
TOO_LARGE = "The request is larger than this service accepts."
TOO_LONG = "A request of JSON or text may have 64 KiB: send a photo as a file of a form, as curl -F does."


class TrustedHostMiddleware:
    """Middleware that refuses every request under a host name that is not this service's.

    It defeats DNS rebinding, so it is the outermost: not even a preflight is answered under a foreign name.
    """

    def __init__(self, app: ASGIApp, *, allowed_hosts: Sequence[str], dialects: ErrorFormats) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in allowed_hosts)
        self._dialects = dialects

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer with the reason why not."""
        app = self._app
        if scope["type"] == "http" and "*" not in self._hosts:
            known = host_name(Headers(scope=scope).get("host", "")) in self._hosts
            app = app if known else response_for(scope["path"], HostRefused(), self._dialects)
        await app(scope, receive, send)


class SecurityMiddleware:
    """Middleware that refuses what must not reach a route.

    The origin check defeats other pages in the user's browser, and holds for every route. On `base64_paths`
    a photo may come as text, in JSON or an urlencoded form.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        allowed_origins: Sequence[str],
        token: str | None,
        max_upload_bytes: int,
        base64_paths: Collection[str],
        dialects: ErrorFormats,
        stall_timeout_s: float = STALL_TIMEOUT_S,
    ) -> None:
        self._app = app
        self._origins = frozenset(allowed_origins)
        self._token = None if token is None else token.encode()
        self._max_form_bytes = MAX_FILES * max_upload_bytes + OVERHEAD_BYTES
        # A third more than the file, and what escapes take: three bytes for each +, / and line break.
        self._max_base64_bytes = max_upload_bytes * 3 // 2 + OVERHEAD_BYTES
        self._base64_paths = base64_paths
        self._dialects = dialects
        self._stall_timeout_s = stall_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer with the reason why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        limit = self._limit(scope["path"], headers)
        try:
            self._check(scope["method"], scope["path"], headers, limit)
        except BgremoveError as error:
            await response_for(scope["path"], error, self._dialects)(scope, receive, send)
            return
        await self._app(scope, _bounded(receive, limit, self._stall_timeout_s), send)

    def _limit(self, path: str, headers: Headers) -> int:
        """Return how many bytes the body may have."""
        kind = headers.get("content-type", "").partition(";")[0].lower()
        if not any(text in kind for text in TEXT_KINDS):
            return self._max_form_bytes
        return self._max_base64_bytes if path in self._base64_paths else MAX_TEXT_BYTES

    def _check(self, method: str, path: str, headers: Headers, limit: int) -> None:
        origin = headers.get("origin")
        if origin is not None and method not in SAFE_METHODS:
            self._check_origin(origin, headers.get("host", ""))
        # A preflight carries no token by design; it is answered by the CORS rules alone.
        is_open = path in OPEN_PATHS or path.startswith(OPEN_FOLDER) or method == "OPTIONS"
        if self._token is not None and not is_open:
            self._check_token(headers)
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > limit:
            raise UploadTooLarge(_too_large(limit))
        _check_charset(headers.get("content-type", ""))

    def _check_origin(self, origin: str, host: str) -> None:
        _, _, own = origin.partition("://")  # not urlsplit, which raises for some nonsense
        if origin not in self._origins and own.lower() != host.lower():
            raise OriginRefused

    def _check_token(self, headers: Headers) -> None:
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        sent = credentials if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        if self._token is None or not hmac.compare_digest(sent.strip().encode(), self._token):
            raise Unauthorized


def _check_charset(content_type: str) -> None:
    kind, parameters = parse_options_header(content_type)  # as Starlette reads it
    if kind.startswith(b"multipart/") and parameters.get(b"charset", b"utf-8").lower() not in FORM_CHARSETS:
        raise MalformedRequest("A form's charset must be utf-8, us-ascii or iso-8859-1.")


def _bounded(receive: Receive, limit: int, stall_timeout_s: float) -> Receive:
    """Count what really comes in, as a chunked body announces no length, and do not wait for ever for more.

    FastAPI makes a 400 of any error but an HTTPException that comes while it reads.
    """
    received_bytes = 0
    more = True

    async def bounded() -> Message:
        nonlocal received_bytes, more
        try:
            # What comes after the body is the client's leaving, which may take as long as it likes.
            async with asyncio.timeout(stall_timeout_s if more else None):
                message = await receive()
        except TimeoutError:
            raise HTTPException(UploadStalled.status) from None
        if message["type"] == "http.request":
            received_bytes += len(message.get("body", b""))
            more = message.get("more_body", False)
            if received_bytes > limit:
                raise HTTPException(UploadTooLarge.status, _too_large(limit))
        return message

    return bounded


def _too_large(limit: int) -> str:
    return TOO_LONG if limit == MAX_TEXT_BYTES else TOO_LARGE


def is_loopback(address: str) -> bool:
    """Whether a client's address is this machine's own, also where it is an IPv4 one written as IPv6."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return (mapped or ip).is_loopback


def host_name(host: str) -> str:
    """Return the name in a Host header, lower case, without port and brackets; "" for nonsense."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""
