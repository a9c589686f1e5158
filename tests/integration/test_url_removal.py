"""Removals by URL: fetched by the supervisor, followed like any other."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.photos import wish
from tests.service import OBEYS, Service


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


def test_a_photo_on_the_web_is_cut_out_under_its_own_name(
    start: Callable[..., Service], pictures: str
) -> None:
    """The user pastes an address and gets a file."""
    service = start(builtin_worker=OBEYS, url_allow_private=True)
    task_id = service.client.post("/remove/url", json={"url": f"{pictures}/holiday.png"}).json()["task_id"]
    assert service.finished(task_id)["status"] == "complete"
    result = service.client.get(f"/remove/result/{task_id}").json()
    answer = service.client.get(result["result_url"].removeprefix("/api/v1"))
    assert "holiday-cutout.png" in answer.headers["content-disposition"]

    task_id = service.client.post("/remove/url", json={"url": f"{pictures}/gone.png"}).json()["task_id"]
    task = service.finished(task_id)
    assert task["code"] == "url_failed"
    assert "404" in task["message"]
