"""The web page: the files of `static/`, served with a strict Content-Security-Policy."""

import os
from pathlib import Path

from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import PathLike, StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).resolve().parent / "static"
PREFIX = "/web"
INDEX = "index.html"
# Told here: the system's own table calls scripts plain text on some Windows machines.
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-cache",  # kept by the browser, asked for again: an update shows at once
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def page_routes() -> list[BaseRoute]:
    """Return the routes of the page: `/` and the files that it names, compressed where that is asked for."""
    files = GZipMiddleware(WebFiles(directory=FOLDER))
    return [Route("/", files, include_in_schema=False), Mount(PREFIX, files)]


class WebFiles(StaticFiles):
    """Starlette's files, with the page's headers and media types; `/` is the page itself."""

    def get_path(self, scope: Scope) -> str:
        """Return the file's path in the folder."""
        return INDEX if scope["path"] == "/" else super().get_path(scope)

    def file_response(
        self, full_path: PathLike, stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """Return the file, or that the browser has it already."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(HEADERS)
        if response.status_code == status_code:
            response.headers["Content-Type"] = MEDIA_TYPES[Path(full_path).suffix]
        return response
