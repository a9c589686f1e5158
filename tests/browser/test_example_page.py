"""The example of a page on another origin: upload, progress by EventSource, and the result."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from tests.browser.conftest import BY_LIGHT
from tests.photos import encoded
from tests.service import ROOT, Service


class Quiet(SimpleHTTPRequestHandler):
    """Serves the examples, and logs nothing."""

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def origin() -> Iterator[str]:
    """A web server with the examples."""
    handler = partial(Quiet, directory=str(ROOT / "examples"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_page_on_another_origin_shows_the_result(
    browser: Browser, start: Callable[..., Service], origin: str
) -> None:
    """And what the service says of a file that is no image."""
    service = start(builtin_worker=BY_LIGHT, allowed_origins=origin)
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{origin}/remove.html?server={service.url}")
        photo = encoded(Image.new("RGB", (40, 30), "white"))
        page.set_input_files("input", {"name": "photo.png", "mimeType": "image/png", "buffer": photo})
        expect(page.locator("output")).to_have_text("Background removed")
        expect(page.locator("img")).to_have_js_property("naturalWidth", 40)
        expect(page.locator("progress")).to_have_js_property("value", 100)
        page.set_input_files("input", {"name": "no.png", "mimeType": "image/png", "buffer": b"no image"})
        expect(page.locator("output")).to_contain_text("not an image")
