"""Photo list: URLs, progress, queue position, cancellation, failures and retries."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Route, expect

from tests.browser.visit import Visit
from tests.integration.scratch import Scratch
from tests.photos import encoded, wish
from tests.service import Service

Open = Callable[..., Visit]
TASKS = "**/api/v1/tasks/*"


@pytest.fixture
def obeying(data_dir: Path, tmp_path: Path) -> Iterator[Service]:
    """A service whose fake worker executes the instruction in the photo."""
    with Scratch(tmp_path / "scratch").service(data_dir) as service:
        yield service


def test_a_photo_is_fetched_by_its_url(visit: Open, light: Service) -> None:
    """By the service, not by the page; an invalid URL has an error message."""
    task_id = light.upload(encoded(Image.new("RGB", (30, 20), "teal")), "sea.png")
    light.finished(task_id)
    original = light.client.get(f"/remove/result/{task_id}").json()["original_url"]
    page = visit(light.url)
    field = page.page.get_by_label("URL of a photo")
    field.fill("sea.png")
    page.button("Fetch").click()
    expect(page.page.get_by_role("alert")).to_contain_text("begins with http:// or https://")
    field.fill(light.url + original)
    field.press("Enter")
    expect(page.page.locator(".photo[data-state=done]")).to_have_count(1)
    expect(page.page.locator(".layer.before img")).to_be_visible()
    _, image = page.download(page.button("Download"))
    assert image.size == (30, 20)


def test_cancel_fail_and_try_again(visit: Open, obeying: Service) -> None:
    """Each row shows the state of its own photo."""
    page = visit(obeying.url)
    page.drop(("slow.png", "image/png", wish("sleep 60")))
    expect(page.photo("slow.png")).to_contain_text("Sleeping")
    page.drop(("bad.png", "image/png", wish("fail")), ("waits.png", "image/png", wish()))
    expect(page.photo("waits.png")).to_contain_text("Not sent yet")
    expect(page.page.get_by_role("heading", name="Photos: 0 of 3")).to_be_visible()
    page.button("Cancel slow.png").click()
    expect(page.photo("slow.png")).to_contain_text("Cancelled")
    expect(page.photo("bad.png")).to_contain_text("The image is damaged or cut short.")
    expect(page.done("waits.png")).to_be_visible()
    expect(page.page.get_by_role("heading", name="Photos: 3 of 3")).to_be_visible()
    page.button("Try bad.png again").click()
    expect(page.photo("bad.png")).to_have_count(1)
    expect(page.photo("bad.png")).to_contain_text("The image is damaged or cut short.")
    page.button("Remove bad.png from the list").click()
    expect(page.photo("bad.png")).to_have_count(0)


def test_a_waiting_photo_shows_its_queue_position(visit: Open, light: Service) -> None:
    """Other clients' photos may be ahead of it."""
    page = visit(light.url)
    task: dict[str, object] = {
        "task_id": "bgremove_1",
        "status": "queued",
        "percent": 0,
        "message": "Waiting",
        "code": None,
        "logs": [],
        "queue_position": 3,
    }
    for path in ("**/remove/upload", TASKS):
        page.page.route(path, lambda route: route.fulfill(json=task))
    page.page.route("**/remove/stream/*", lambda route: route.fulfill(body=f"data: {json.dumps(task)}\n\n"))
    page.drop(("photo.png", "image/png", wish()))
    row = page.photo("photo.png")
    expect(row).to_contain_text("Number 3 in the queue")
    expect(page.page.locator(".job-status")).to_contain_text("Number 3 in the queue")
    task["queue_position"] = 1
    expect(row).to_contain_text("Next in the queue")
    task.update(status="running", message="Decoding the photo", queue_position=None)
    expect(row).to_contain_text("Decoding the photo")


def test_a_double_click_cancels_once_and_a_failed_cancellation_can_be_retried(
    visit: Open, obeying: Service
) -> None:
    """A second request would be refused; after a network failure the button must work again."""
    page = visit(obeying.url, expected=("Failed to load resource",))
    page.drop(("slow.png", "image/png", wish("sleep 60")))
    expect(page.photo("slow.png")).to_contain_text("Sleeping")
    held: list[Route] = []
    page.page.route(TASKS, lambda route: held.append(route))  # noqa: PLW0108 - Playwright takes no built-in
    cancel = page.button("Cancel slow.png")
    with page.page.expect_request(TASKS):
        cancel.dblclick()
    expect(cancel).to_be_disabled()
    assert [route.request.method for route in held] == ["DELETE"]
    held.pop().abort()
    expect(page.photo("slow.png")).to_contain_text("The server does not respond.")
    with page.page.expect_request(TASKS):
        cancel.click()
    expect(cancel).to_be_disabled()
    held.pop().continue_()
    expect(page.photo("slow.png")).to_contain_text("Cancelled")


def test_the_focus_stays_in_the_list(visit: Open, obeying: Service) -> None:
    """Keyboard users would otherwise start at the top of the page after each removed photo."""
    page = visit(obeying.url)
    page.drop(
        ("one.png", "image/png", wish("fail")),
        ("two.png", "image/png", wish("fail")),
        ("slow.png", "image/png", wish("sleep 60")),
    )
    pick = {name: page.photo(name).locator(".pick") for name in ("two.png", "slow.png")}
    expect(page.photo("slow.png")).to_contain_text("Sleeping")
    page.button("Cancel slow.png").press("Enter")
    expect(pick["slow.png"]).to_be_focused()
    page.button("Remove slow.png from the list").press("Enter")
    expect(pick["two.png"]).to_be_focused()
    page.button("Remove one.png from the list").press("Enter")
    expect(pick["two.png"]).to_be_focused()
    page.button("Clear").press("Enter")
    expect(page.button("Choose photos")).to_be_focused()


def test_the_stage_moves_on_from_a_photo_that_fails(visit: Open, obeying: Service) -> None:
    """To the first that worked, unless the user has selected one; the tab's title tells the progress."""
    page = visit(obeying.url)
    title = page.page.title()
    page.drop(
        ("bad.png", "image/png", wish("fail")),
        ("good.png", "image/png", wish("sleep 0.5")),
        ("slow.png", "image/png", wish("sleep 60")),
    )
    expect(page.done("good.png").locator(".pick")).to_have_attribute("aria-current", "true")
    expect(page.page).to_have_title(f"(2/3) {title}")
    page.photo("bad.png").locator(".pick").click()
    page.button("Cancel slow.png").click()
    expect(page.photo("slow.png")).to_contain_text("Cancelled")
    expect(page.photo("bad.png").locator(".pick")).to_have_attribute("aria-current", "true")
    expect(page.page).to_have_title(title)


def test_the_delete_key_cancels_and_removes_a_photo(visit: Open, obeying: Service) -> None:
    """As the buttons of its row do; the focus goes to the next photo."""
    page = visit(obeying.url)
    page.drop(("slow.png", "image/png", wish("sleep 60")), ("good.png", "image/png", wish()))
    expect(page.photo("slow.png")).to_contain_text("Sleeping")
    page.photo("slow.png").locator(".pick").press("Delete")
    expect(page.photo("slow.png")).to_contain_text("Cancelled")
    page.photo("slow.png").locator(".pick").press("Delete")
    expect(page.photo("slow.png")).to_have_count(0)
    expect(page.photo("good.png").locator(".pick")).to_be_focused()
