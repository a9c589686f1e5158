"""API reference at /docs: Swagger UI in the browser."""

from collections.abc import Callable

from playwright.sync_api import FilePayload, expect

from tests.browser.visit import Visit
from tests.photos import wish
from tests.service import Service


def test_routes_are_documented_and_can_be_tried(visit: Callable[..., Visit], light: Service) -> None:
    """Without requests to other hosts and without policy violations, which `visit` checks."""
    page = visit(f"{light.url}/docs").page
    upload = page.locator(".opblock", has_text="/remove/upload")
    upload.get_by_role("button").first.click()
    expect(upload).to_contain_text("background_file")
    health = page.locator(".opblock", has_text="/health")
    health.get_by_role("button").first.click()
    health.get_by_role("button", name="Try it out").click()
    health.get_by_role("button", name="Execute").click()
    expect(health.locator(".live-responses-table")).to_contain_text('"status": "ok"')


def test_an_upload_can_be_tried_with_a_photo_only(visit: Callable[..., Visit], light: Service) -> None:
    """The form must not fill in examples, such as the background colour "string"."""
    page = visit(f"{light.url}/docs").page
    upload = page.locator(".opblock", has_text="/remove/upload")
    upload.get_by_role("button").first.click()
    upload.get_by_role("button", name="Try it out").click()
    photo = FilePayload(name="photo.png", mimeType="image/png", buffer=wish())
    upload.locator("input[type=file]").first.set_input_files(photo)
    upload.get_by_role("button", name="Execute").click()
    expect(upload.locator(".live-responses-table")).to_contain_text('"task_id": "bgremove_')
