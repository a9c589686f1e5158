"""Model picker: the models other than the default one, and the choices of the option that names one."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Dialog, expect

from tests.browser.conftest import service_of
from tests.browser.visit import Visit
from tests.hub import Fault, Hub
from tests.service import Service

Open = Callable[..., Visit]
LITE = "BiRefNet_lite"


@pytest.fixture
def lite_hub(hub: Hub) -> Hub:
    """A fake hub with a model that is not the default one."""
    hub.repo_id = f"ZhengPeng7/{LITE}"
    return hub


def test_it_is_folded_and_requested_when_opened(visit: Open, light: Service) -> None:
    """A line for each model but the default one: its state, purpose, licence, size and a named button."""
    page = visit(light.url)
    expect(page.row("environment")).to_contain_text("modules installed")
    summary = page.page.locator(".picker summary")
    expect(page.page.get_by_role("table", name="Other models")).to_be_hidden()
    assert not any(url.endswith("/models") for url in page.requested)
    summary.press("Enter")
    portrait = page.model("BiRefNet-portrait")
    expect(portrait).to_contain_text("people \N{BULLET} MIT \N{BULLET} 444 MB to download")
    expect(portrait.locator(".state")).to_have_text("Not downloaded")
    expect(portrait.get_by_role("button")).to_have_accessible_name("Download BiRefNet-portrait")
    expect(page.model("BiRefNet_HR")).to_contain_text("MIT (1)")
    expect(page.row("model").get_by_text("(1) Licence: trained on DIS5K")).to_be_visible()
    expect(page.model("BiRefNet")).to_have_count(0)
    expect(page.row("model").get_by_role("button", name="Download Model")).to_be_visible()
    listed = [url for url in page.requested if url.endswith("/models")]
    assert len(listed) == 1
    summary.press("Enter")
    expect(portrait).to_be_hidden()


def test_download_cancel_load_unload(visit: Open, lite_hub: Hub, tmp_path: Path) -> None:
    """By one button, which keeps the focus; another page attaches to the running download."""
    lite_hub.faults = [Fault("stall", 500_000), Fault("stall", 200_000)]
    with service_of(tmp_path) as service:
        page = visit(service.url)
        page.open_picker()
        line = page.model(LITE)
        state = line.locator(".state")
        page.button(f"Download {LITE}").press("Enter")
        expect(line).to_contain_text("MB of")
        page.button(f"Cancel {LITE}").press("Enter")
        expect(line).to_contain_text("The task was cancelled.")
        expect(state).to_have_text("Partly downloaded")
        page.button(f"Download {LITE}").press("Enter")
        other = visit(service.url)
        other.open_picker()
        for each in (line, other.model(LITE)):
            expect(each).to_contain_text("MB of")
            expect(each.get_by_role("progressbar")).to_have_accessible_name(f"Progress {LITE}")
        lite_hub.released.set()
        for each in (line, other.model(LITE)):
            expect(each.locator(".state")).to_have_text("Downloaded")
            expect(each).to_contain_text("1.0 MB on disk")
        load = page.button(f"Load {LITE}")
        expect(load).to_be_focused()
        workers = page.page.get_by_role("list", name="Workers")
        expect(workers).to_be_hidden()
        load.press("Enter")
        expect(line).to_contain_text("Model loaded")
        expect(state).to_have_text("Loaded")
        expect(workers).to_contain_text(f"{LITE}@cpu \N{BULLET} ready")
        expect(workers).to_contain_text("MB of memory")
        expect(page.button(f"Delete {LITE}")).to_be_hidden()
        expect(page.row("model").locator(".state").first).to_have_text("Not Ready")
        page.button(f"Unload {LITE}").press("Enter")
        expect(line).to_contain_text("MB of memory released")
        expect(page.page.locator("#announcer")).to_contain_text(f"{LITE}: Unloaded")
        expect(state).to_have_text("Downloaded")
        expect(workers).to_be_hidden()


def test_failures_show_their_reason_and_can_be_retried(visit: Open, lite_hub: Hub, tmp_path: Path) -> None:
    """A retry downloads the model, or loads a downloaded one; a page opened later has the reason too."""
    lite_hub.refusal = (401, {"X-Error-Code": "GatedRepo"})
    with service_of(tmp_path, "dies_in_load") as service:
        page = visit(service.url)
        page.open_picker()
        line = page.model(LITE)
        retry = page.button(f"Retry {LITE}")
        page.button(f"Download {LITE}").click()
        expect(line.locator(".failed")).to_contain_text("HF_TOKEN")
        expect(line.locator(".state")).to_have_text("Failed")
        lite_hub.refusal = None
        retry.click()
        expect(line).to_contain_text("Model downloaded")
        page.button(f"Load {LITE}").click()
        expect(line.locator(".failed")).to_contain_text("SIGSEGV")
        other = visit(service.url)
        other.open_picker()
        expect(other.model(LITE).locator(".problem")).to_contain_text("SIGSEGV")
        with page.page.expect_request(f"**/models/{LITE}/load"):
            retry.click()
        expect(line.locator(".failed")).to_contain_text("SIGSEGV")


@pytest.mark.usefixtures("lite_hub")
def test_the_option_follows_the_models_on_disk(visit: Open, tmp_path: Path) -> None:
    """A downloaded model can be chosen, a deleted one no longer; another choice is kept."""
    answers = [False, True, True]

    def answer(dialog: Dialog) -> None:
        assert f"Delete {LITE} (1.0 MB)" in dialog.message
        (dialog.accept if answers.pop(0) else dialog.dismiss)()

    with service_of(tmp_path) as service:
        page = visit(service.url)
        page.page.on("dialog", answer)
        page.open_options()
        page.open_picker()
        option = page.page.get_by_label("Model", exact=True)
        download, delete = page.button(f"Download {LITE}"), page.button(f"Delete {LITE}")
        option.select_option("Built-in model")
        download.click()
        expect(option.get_by_role("option", name=LITE, exact=True)).to_be_attached()
        expect(option).to_have_value("builtin")
        delete.press("Enter")
        expect(page.model(LITE).locator(".state")).to_have_text("Downloaded")
        delete.press("Enter")
        expect(page.model(LITE)).to_contain_text("Deleted: 1.0 MB of disk space released.")
        expect(download).to_be_focused()
        expect(option.get_by_role("option", name=LITE, exact=True)).not_to_be_attached()
        expect(option).to_have_value("builtin")
        download.click()
        option.select_option(LITE)
        delete.click()
        expect(option).to_have_value("auto")
        expect(page.page.locator("#options-summary")).to_have_text("defaults")
