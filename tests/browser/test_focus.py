"""Where the keyboard's focus is after what had it has gone: never at the top of the page."""

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


def sea(name: str) -> tuple[str, str, bytes]:
    """Return a photo of the sea as a dropped or chosen file."""
    return name, "image/png", PHOTO


def test_it_goes_to_the_photo_that_takes_the_place_of_what_had_it(visit: Open, light: Service) -> None:
    """The button that chose the first photo goes, and the divider while the next one is on its way."""
    page = visit(light.url)
    with page.page.expect_file_chooser() as chooser:
        page.button("Choose photos").press("Enter")
    chooser.value.set_files({"name": "one.png", "mimeType": "image/png", "buffer": PHOTO})
    expect(page.photo("one.png").locator(".pick")).to_be_focused()
    for part in (page.page.get_by_role("slider"), page.button("Download")):
        expect(part).to_be_visible()
        part.focus()
        page.drop(sea("two.png"))
        expect(page.photo("two.png").last.locator(".pick")).to_be_focused()
        expect(page.done("two.png").last).to_be_visible()


def test_it_stays_in_the_status_table(visit: Open, light: Service) -> None:
    """The status is fetched anew whenever a removal ends, while somebody may read what is installed."""
    page = visit(light.url)
    summary = page.page.locator(".modules summary")
    summary.focus()
    with page.page.expect_response("**/env/status"):
        page.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.drop(sea("sea.png"))
    expect(page.done("sea.png")).to_be_visible()
    expect(summary).to_be_focused()


def test_it_stays_at_the_action_that_was_begun(visit: Open, light: Service) -> None:
    """A download takes minutes, in which its button does nothing; and its Cancel goes when it is pressed."""
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
