"""Middleware that validates the Host header, against DNS rebinding."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.errors import HostRefused
from supervisor.api.error_handlers import ErrorFormats, render_error_for


class TrustedHostMiddleware:
    """Refuses every request under a host name that is not this service's.

    It is outside of CORS and authentication: not even a CORS preflight is answered under a foreign name.
    """

    def __init__(self, app: ASGIApp, *, allowed_hosts: Sequence[str], formats: ErrorFormats) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in allowed_hosts)
        self._formats = formats

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer with HostRefused."""
        app = self._app
        if scope["type"] == "http" and "*" not in self._hosts:
            known = parse_host_name(Headers(scope=scope).get("host", "")) in self._hosts
            app = app if known else render_error_for(scope, HostRefused(), self._formats)
        await app(scope, receive, send)


def parse_host_name(host: str) -> str:
    """Return the name in a Host header, lower case, without port and brackets; "" for an invalid one."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""
