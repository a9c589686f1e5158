"""Fixtures that the tests of several routes share."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.integration import removebg_cases
from tests.integration.fleet_service import fleet_settings, make_model
from tests.photos import encoded, wish
from tests.service import Service

FILES = {
    "/holiday.png": wish(),
    "/blue.png": encoded(Image.new("RGB", (40, 30), "blue")),
    "/square.jpg": removebg_cases.photo(),
}


class Pictures(BaseHTTPRequestHandler):
    """Serves these pictures, and nothing else."""

    def do_GET(self) -> None:
        """Answer with the picture of that name."""
        self.send_response(200 if self.path in FILES else 404)
        self.end_headers()
        self.wfile.write(FILES.get(self.path, b""))

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture(scope="session")
def pictures() -> Iterator[str]:
    """A web server with a few pictures, on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Pictures) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    """Where a fetched image goes."""
    return tmp_path / "upload"


@pytest.fixture
def fleet_folder(tmp_path: Path) -> Path:
    """The folder of a model called `fleet`, whose files say what its fake workers do."""
    return make_model(tmp_path / "fleet")


@pytest.fixture
def start_fleet(start: Callable[..., Service], fleet_folder: Path) -> Callable[..., Service]:
    """Start a service with that model on some devices."""

    def begin(device: str, **settings: Any) -> Service:
        return start(**fleet_settings(fleet_folder, device), **settings)

    return begin
