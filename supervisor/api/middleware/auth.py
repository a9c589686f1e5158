"""Middleware for authentication and origin validation."""

import hmac
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.errors import BgremoveError, OriginRefused, Unauthorized
from supervisor.api.error_handlers import ErrorFormats, render_error_for
from supervisor.net.origins import is_allowed_origin
from supervisor.web.page import PREFIX

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# The page asks for the token itself: it and its files hold no secrets.
PUBLIC_PATHS = frozenset({"/api/v1/health", "/"})
PUBLIC_FOLDER = f"{PREFIX}/"


class AuthMiddleware:
    """Checks the Origin header and the bearer token before a request reaches a route.

    The origin check defeats other pages in the user's browser (CSRF), and holds for every route.
    """

    def __init__(
        self, app: ASGIApp, *, allowed_origins: Sequence[str], token: str | None, formats: ErrorFormats
    ) -> None:
        self._app = app
        self._origins = frozenset(allowed_origins)
        self._token = None if token is None else token.encode()
        self._formats = formats

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer with OriginRefused or Unauthorized."""
        if scope["type"] == "http":
            try:
                self._check(scope["method"], scope["path"], Headers(scope=scope))
            except BgremoveError as error:
                await render_error_for(scope, error, self._formats)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, method: str, path: str, headers: Headers) -> None:
        origin = headers.get("origin")
        if origin is not None and method not in SAFE_METHODS:
            self._check_origin(origin, headers.get("host", ""))
        # A CORS preflight carries no token by design.
        is_public = path in PUBLIC_PATHS or path.startswith(PUBLIC_FOLDER) or method == "OPTIONS"
        if self._token is not None and not is_public:
            self._check_token(headers)

    def _check_origin(self, origin: str, host: str) -> None:
        _, _, own = origin.partition("://")  # not urlsplit, which raises for some invalid ones
        if not is_allowed_origin(origin, self._origins) and own.lower() != host.lower():
            raise OriginRefused

    def _check_token(self, headers: Headers) -> None:
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        sent = credentials if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        if self._token is None or not hmac.compare_digest(sent.strip().encode(), self._token):
            raise Unauthorized


def is_loopback(address: str) -> bool:
    """Whether a client's address is this machine's own, also an IPv4 one mapped to IPv6."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return (mapped or ip).is_loopback
