"""The status panel: one line while everything works, the table when it is needed."""

import signal
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.visit import PHONE, Visit
from tests.integration.scratch import Scratch
from tests.service import Service

Open = Callable[..., Visit]


def test_a_page_that_works_shows_one_line_and_opens_the_table_on_request(visit: Open, light: Service) -> None:
    """It says what the next photo gets, in no alarming colour, and leaves the window to the picture."""
    page = visit(light.url, status_open=False, viewport=PHONE)
    line = page.page.locator("#status-line")
    expect(line).to_have_text("Ready: built-in model. BiRefNet is not downloaded.")
    expect(line).to_have_class("indicator ready")
    expect(page.button("Choose photos")).to_be_in_viewport(ratio=1)
    expect(page.row("server")).to_be_hidden()
    page.page.get_by_text("Set up").click()
    expect(page.button("Download Model")).to_be_visible()
    expect(page.page.locator(".indicator.broken")).to_have_count(0)
    page.page.locator("#status-box > summary").press("Enter")
    expect(page.row("server")).to_be_hidden()


def test_it_opens_by_itself_when_the_server_is_gone(visit: Open, data_dir: Path, tmp_path: Path) -> None:
    """And the line says why; the server's return is shown there too."""
    scratch = Scratch(tmp_path / "scratch")
    with scratch.service(data_dir) as first:
        page = visit(first.url, status_open=False, expected=("ERR_CONNECTION",))
        expect(page.page.locator("#status-line")).to_contain_text("Ready")
        page.page.wait_for_load_state("networkidle")
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
    page.button("Refresh status").click()
    expect(page.row("server")).to_be_visible()
    expect(page.page.locator("#status-line")).to_contain_text("The server does not respond")
    with scratch.service(data_dir, port=first.port):
        expect(page.page.locator("#status-line")).to_contain_text("Ready")


def test_it_opens_while_something_is_set_up(visit: Open, service: Service, astronaut: bytes) -> None:
    """The progress, and why it fails, are in the table."""
    page = visit(service.url, status_open=False)
    page.drop(("astronaut.jpg", "image/jpeg", astronaut))
    expect(page.page.locator(".photo[data-state=done]")).to_be_visible()
    page.button("Download BiRefNet").click()
    expect(page.row("model").locator(".operation")).to_be_visible()
