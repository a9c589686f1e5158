"""Fixtures that the tests of several routes share."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.photos import wish


class Pictures(BaseHTTPRequestHandler):
    """Serves one picture, and nothing else."""

    def do_GET(self) -> None:
        """Answer with the picture under /holiday.png."""
        found = self.path == "/holiday.png"
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(wish() if found else b"")

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def pictures() -> Iterator[str]:
    """A web server with a picture, on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Pictures) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
