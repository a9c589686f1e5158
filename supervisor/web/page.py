"""Serves the web page, the files of `static/`, with a strict Content-Security-Policy."""

import os
from pathlib import Path

from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import PathLike, StaticFiles
from starlette.types import Scope

STATIC_FOLDER = Path(__file__).resolve().parent / "static"
PREFIX = "/web"
INDEX = "index.html"
# Set here, because the registry of some Windows machines maps .js to text/plain.
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
    "Cache-Control": "no-cache",  # cached, but revalidated by ETag: an update is used immediately
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def make_page_routes() -> list[BaseRoute]:
    """Return the routes of the page: `/` and its static files, gzip-compressed if the client accepts it."""
    files = GZipMiddleware(WebFiles(directory=STATIC_FOLDER))
    return [Route("/", files, include_in_schema=False), Mount(PREFIX, files)]


class WebFiles(StaticFiles):
    """Static files with the page's security headers and media types; `/` is the index page."""

    def get_path(self, scope: Scope) -> str:
        """Return the file's path below the folder."""
        return INDEX if scope["path"] == "/" else super().get_path(scope)

    def file_response(
        self, full_path: PathLike, stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """Return the file, or status 304 if the browser has cached it."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(HEADERS)
        if response.status_code == status_code:
            response.headers["Content-Type"] = MEDIA_TYPES[Path(full_path).suffix]
        return response
