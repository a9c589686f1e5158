"""Status table: each state of its three rows, with fake packages, hub and workers."""

import signal
from collections.abc import Callable
from pathlib import Path

import psutil
from playwright.sync_api import Locator, Route, expect

from tests.browser.conftest import service_of
from tests.browser.visit import Visit
from tests.hub import Fault, Hub, weights
from tests.integration.package_index import FAILING_BACKEND, add_source, put
from tests.integration.scratch import Scratch
from tests.service import Service, wait_for

Open = Callable[..., Visit]
CONNECTION_ERROR = "ERR_CONNECTION"  # the browser's message for an unreachable server
RECORD_TEXT = """row => {
    window.recordedTexts = [];
    const record = () => window.recordedTexts.push(row.textContent);
    new MutationObserver(record).observe(row, {childList: true, characterData: true, subtree: true});
}"""


def indicator(row: Locator) -> Locator:
    """Return the status indicator of a row."""
    return row.locator(".state")


def test_missing_and_broken_packages_are_shown_and_installed(
    visit: Open, data_dir: Path, tmp_path: Path
) -> None:
    """The environment row turns from red to green by one button."""
    scratch = Scratch(tmp_path / "scratch", "tiny", "other")
    scratch.wheel("tiny")
    scratch.wheel("other", "2.0")
    put(scratch.site, "other", 'raise ImportError("libother.so: file too short")\n', "2.0")
    with scratch.service(data_dir) as service:
        page = visit(service.url)
        row = page.row("environment")
        expect(indicator(row)).to_have_text("Not Ready")
        expect(row).to_contain_text("Missing: tiny")
        expect(row).to_contain_text("other cannot be imported (ImportError: libother.so: file too short)")
        row.evaluate(RECORD_TEXT)  # the log may be shown for less time than passes between two looks at it
        row.get_by_role("button", name="Install Library").click()
        expect(row.get_by_role("button", name="Starting...")).to_be_disabled()
        expect(row.get_by_role("progressbar")).to_be_visible()
        expect(row).to_contain_text(
            "Dependencies installed. The worker was restarted; the server kept running."
        )
        assert any("Processing" in text for text in row.evaluate("() => window.recordedTexts"))
        expect(indicator(row)).to_have_text("Ready")
        for module in ("tiny 1.0", "other 2.0"):
            expect(row.get_by_role("listitem").filter(has_text=module)).to_be_visible()
        expect(row.get_by_role("button")).to_have_count(0)


def test_a_failed_install_shows_its_reason_and_log(visit: Open, data_dir: Path, tmp_path: Path) -> None:
    """Otherwise the user could only press the button again."""
    scratch = Scratch(tmp_path / "scratch", "hard")
    add_source(scratch.index, "hard", FAILING_BACKEND)
    with scratch.service(data_dir) as service:
        page = visit(service.url)
        row = page.row("environment")
        row.get_by_role("button", name="Install Library").click()
        expect(row.locator(".failed")).to_contain_text("The packages could not be installed")
        expect(row.get_by_role("region", name="Log")).to_contain_text("no compiler here")
        expect(indicator(row)).to_have_text("Not Ready")
        expect(row.get_by_role("button", name="Install Library")).to_be_enabled()


def test_download_cancel_load_unload(visit: Open, hub: Hub, tmp_path: Path) -> None:
    """The model row, through all of its buttons; a second page attaches to the running download."""
    hub.faults = [Fault("stall", 500_000), Fault("stall", 200_000)]
    with service_of(tmp_path) as service:
        page = visit(service.url)
        row = page.row("model")
        expect(row).to_contain_text("ZhengPeng7/BiRefNet • cpu")
        expect(indicator(row)).to_have_text("Not Ready")
        row.get_by_role("button", name="Download Model").click()
        expect(row.get_by_role("button", name="Starting...")).to_be_disabled()
        row.get_by_role("button", name="Cancel").click()
        expect(row).to_contain_text("The task was cancelled.")
        row.get_by_role("button", name="Download Model").click()
        other = visit(service.url)
        for each in (row, other.row("model")):
            expect(each).to_contain_text("MB of")
            expect(each.get_by_role("progressbar")).to_be_visible()
            expect(each.get_by_role("button", name="Starting...")).to_be_disabled()
        hub.released.set()
        for each in (row, other.row("model")):
            expect(each.get_by_role("button", name="Load Model")).to_be_enabled()
        row.get_by_role("button", name="Load Model").focus()
        page.page.keyboard.press("Enter")
        expect(row).to_contain_text("Loading the model")
        expect(indicator(row)).to_have_text("Ready")
        expect(row.get_by_role("button", name="Unload Model")).to_be_focused()
        page.page.keyboard.press("Enter")
        expect(row).to_contain_text("MB of memory released")
        expect(indicator(row)).to_have_text("Not Ready")
        expect(row.get_by_role("button", name="Load Model")).to_be_enabled()


def test_a_failed_download_shows_its_reason(visit: Open, hub: Hub, tmp_path: Path) -> None:
    """Also on a page that is opened later."""
    hub.refusal = (401, {"X-Error-Code": "GatedRepo"})
    with service_of(tmp_path) as service:
        row = visit(service.url).row("model")
        row.get_by_role("button", name="Download Model").click()
        expect(row.locator(".failed")).to_contain_text("HF_TOKEN")
        expect(visit(service.url).row("model").locator(".problem")).to_contain_text("HF_TOKEN")
        expect(row.get_by_role("button", name="Download Model")).to_be_enabled()


def test_a_failed_load_shows_its_reason(visit: Open, tmp_path: Path) -> None:
    """A local model whose worker crashes while loading it."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(weights(1000))
    with service_of(tmp_path, "dies_in_load", model=folder) as service:
        row = visit(service.url).row("model")
        row.get_by_role("button", name="Load Model").click()
        expect(row.locator(".failed")).to_contain_text("SIGSEGV")
        expect(row.get_by_role("button", name="Load Model")).to_be_enabled()


def test_a_crashed_worker_hides_the_previous_outcome(visit: Open, tmp_path: Path) -> None:
    """'Model loaded' is no longer true, and the reason of the crash must be visible."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(weights(1000))
    with service_of(tmp_path, model=folder) as service:
        page = visit(service.url)
        row = page.row("model")
        row.get_by_role("button", name="Load Model").click()
        expect(row).to_contain_text("Model loaded")
        expect(indicator(row)).to_have_text("Ready")
        psutil.Process(service.worker()["pid"]).kill()
        wait_for(lambda: service.worker()["state"] == "failed")  # until the supervisor has noticed
        page.button("Refresh status").click()
        expect(row).to_contain_text("SIGKILL")
        expect(indicator(row)).to_have_text("Not Ready")
        expect(row.get_by_text("Model loaded")).to_be_hidden()


def test_a_killed_server_and_its_return_are_shown(visit: Open, data_dir: Path, tmp_path: Path) -> None:
    """All rows are red and without buttons until the server responds; both are announced."""
    scratch = Scratch(tmp_path / "scratch")
    with scratch.service(data_dir) as first:
        page = visit(first.url, expected=(CONNECTION_ERROR,))
        expect(page.row("model").get_by_role("button", name="Download Model")).to_be_visible()
        page.page.wait_for_load_state("networkidle")  # an aborted response would be a different console error
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
    page.button("Refresh status").click()
    for name in ("server", "environment", "model"):
        expect(indicator(page.row(name))).to_have_text("Not Ready")
        expect(page.row(name).get_by_role("button")).to_have_count(0)
    expect(page.row("server")).to_contain_text("The server does not respond")
    expect(page.page.locator("#announcer")).to_contain_text("The server does not respond")
    with scratch.service(data_dir, port=first.port):
        expect(indicator(page.row("server"))).to_have_text("Ready")
        expect(page.row("model").get_by_role("button", name="Download Model")).to_be_visible()
        expect(page.page.locator("#announcer")).to_have_text("The server responds again.")


def test_a_response_that_comes_after_a_later_one_is_ignored(visit: Open, light: Service) -> None:
    """The table would show a model that was unloaded meanwhile, with the buttons for it."""
    page = visit(light.url)
    download = page.row("model").get_by_role("button", name="Download Model")
    expect(download).to_be_visible()
    late: list[Route] = []

    def hold_the_first(route: Route) -> None:
        if late:
            route.continue_()
        else:
            late.append(route)

    page.page.route("**/api/v1/status", hold_the_first)
    refresh = "document.dispatchEvent(new Event('visibilitychange'))"
    page.page.evaluate(refresh)
    with page.page.expect_response("**/api/v1/status"):
        page.page.evaluate(refresh)
    stale = light.client.get("/status").json()
    stale["models"]["background_removal"]["model_downloaded"] = True
    with page.page.expect_response("**/api/v1/status"):
        late[0].fulfill(json=stale)
    page.page.wait_for_timeout(200)
    expect(download).to_be_visible()
    expect(indicator(page.row("server"))).to_have_text("Ready")


def test_an_idle_page_sends_no_requests(visit: Open, light: Service) -> None:
    """The status is refreshed at the start, after an operation, and when the page becomes visible."""
    page = visit(light.url)
    expect(page.row("environment")).to_contain_text("modules installed")
    wait_for(lambda: any(url.endswith("/options") for url in page.requested))
    before = len(page.requested)
    page.page.wait_for_timeout(1500)
    assert page.requested[before:] == []
    page.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(indicator(page.row("server"))).to_have_text("Ready")
    parts = sorted(url.removeprefix(f"{light.url}/api/v1") for url in page.requested[before:])
    assert parts == ["/env/status", "/status"]
