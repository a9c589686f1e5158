"""Middleware that normalises the request target to origin-form, before any other middleware reads it.

Source: RFC 9112, 3.2 (origin-form and absolute-form).
"""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

_ABSOLUTE = re.compile(r"https?://(?P<host>[^/?#]*)", re.IGNORECASE)


class RequestTargetMiddleware:
    """Accepts `http://host/path`, which clients send to a proxy, and `//path`, which some clients join.

    The host of an absolute target takes the place of the Host header, as the RFC wants, and is checked.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with the path alone as its target."""
        if scope["type"] == "http" and not _is_origin_form(scope["path"]):
            path = scope["path"]
            absolute = _ABSOLUTE.match(path)
            if absolute is not None:
                path = path[absolute.end() :]
                others = [header for header in scope["headers"] if header[0] != b"host"]
                scope["headers"] = [(b"host", absolute["host"].encode()), *others]
            scope["path"] = "/" + path.lstrip("/")
            scope["raw_path"] = scope["path"].encode()
        await self._app(scope, receive, send)


def _is_origin_form(path: str) -> bool:
    return path.startswith("/") and not path.startswith("//")
