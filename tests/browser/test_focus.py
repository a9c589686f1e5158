"""Keyboard focus: it stays nearby when the focused element disappears."""

import json
from collections.abc import Callable

from PIL import Image
from playwright.sync_api import Route, expect

from tests.browser.visit import Visit
from tests.photos import encoded
from tests.service import Service

Open = Callable[..., Visit]
PHOTO = encoded(Image.new("RGB", (60, 40), "teal"))
TASK = {
    "task_id": "model_1",
    "percent": 40,
    "message": "4 MB of 10 MB",
    "code": None,
    "logs": ["Asking the hub"],
}


def sea_photo(name: str) -> tuple[str, str, bytes]:
    """Return a photo as a file to drop."""
    return name, "image/png", PHOTO


def test_it_moves_to_the_new_photo_when_its_element_disappears(visit: Open, light: Service) -> None:
    """The first photo hides its choose button, and the next one hides the divider while it is processed."""
    page = visit(light.url)
    with page.page.expect_file_chooser() as chooser:
        page.button("Choose photos").press("Enter")
    chooser.value.set_files({"name": "one.png", "mimeType": "image/png", "buffer": PHOTO})
    expect(page.photo("one.png").locator(".pick")).to_be_focused()
    for part in (page.page.get_by_role("slider"), page.button("Download")):
        expect(part).to_be_visible()
        part.focus()
        page.drop(sea_photo("two.png"))
        expect(page.photo("two.png").last.locator(".pick")).to_be_focused()
        expect(page.done("two.png").last).to_be_visible()


def test_it_stays_in_the_status_table(visit: Open, light: Service) -> None:
    """The status is refreshed whenever a removal ends."""
    page = visit(light.url)
    summary = page.page.locator(".modules summary")
    summary.focus()
    with page.page.expect_response("**/env/status"):
        page.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.drop(sea_photo("sea.png"))
    expect(page.done("sea.png")).to_be_visible()
    expect(summary).to_be_focused()


def test_it_stays_at_the_button_of_a_running_operation(visit: Open, light: Service) -> None:
    """During a download its button is disabled; the Cancel button disappears when it is pressed."""
    page = visit(light.url)
    task = TASK | {"status": "running"}

    def answer(route: Route) -> None:
        if route.request.method == "DELETE":
            task.update(status="error", code="cancelled", message="The task was cancelled.")
        route.fulfill(json=task)

    page.page.route("**/remove/download", answer)
    page.page.route("**/tasks/*", answer)
    page.page.route("**/remove/stream/*", lambda route: route.fulfill(body=f"data: {json.dumps(task)}\n\n"))
    row = page.row("model")
    row.get_by_role("button", name="Download Model").press("Enter")
    busy = row.get_by_role("button", name="Starting...")
    expect(row).to_contain_text("4 MB of 10 MB")
    expect(busy).to_be_focused()
    expect(busy).to_be_disabled()
    row.get_by_role("button", name="Cancel").press("Enter")
    expect(row).to_contain_text("The task was cancelled.")
    expect(row.get_by_role("button", name="Download Model")).to_be_focused()
