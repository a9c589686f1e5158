"""API reference at `/docs`: Swagger UI, served from local files.

FastAPI's own page loads Swagger UI from a CDN, which needs a connection and runs third-party scripts here.
"""

import base64
import hashlib
from importlib import resources
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import BaseRoute, Mount, Route

from supervisor.web.page import HEADERS, WebFiles

PATH = "/docs"
FOLDER = PATH.removeprefix("/")  # relative, so that the page works behind a proxy's path prefix
STYLES, SCRIPT = "swagger-ui.css", "swagger-ui-bundle.js"
START = "SwaggerUIBundle({url: 'openapi.json', dom_id: '#reference', deepLinking: true})"
PAGE = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>bgremove: the HTTP API</title>
<link rel="icon" href="web/icon.svg">
<link rel="stylesheet" href="{FOLDER}/{STYLES}">
<div id="reference"></div>
<script src="{FOLDER}/{SCRIPT}"></script>
<script>{START}</script>
</html>
"""
START_HASH = base64.b64encode(hashlib.sha256(START.encode()).digest()).decode()
# As for the page, without Trusted Types, since Swagger UI sets innerHTML; its icons are data: URLs.
POLICY = (
    f"default-src 'none'; script-src 'self' 'sha256-{START_HASH}'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


def make_docs_routes() -> list[BaseRoute]:
    """Return the routes of the API reference and its two static files."""
    files = WebFiles(directory=Path(str(resources.files("fastapi_offline"))) / "static")
    routes = [Route(f"/{name}", files) for name in (STYLES, SCRIPT)]
    return [Route(PATH, _page, include_in_schema=False), Mount(PATH, routes=routes)]


async def _page(_: Request) -> HTMLResponse:
    return HTMLResponse(PAGE, headers={**HEADERS, "Content-Security-Policy": POLICY})
