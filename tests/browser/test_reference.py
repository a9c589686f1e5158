"""The reference at /docs, as developers use it."""

from collections.abc import Callable

from playwright.sync_api import FilePayload, expect

from tests.browser.visit import Visit
from tests.photos import wish
from tests.service import Service


def test_a_developer_reads_a_route_s_options_and_tries_another(
    visit: Callable[..., Visit], light: Service
) -> None:
    """Without a connection, and under a policy that lets nothing foreign in: `visit` checks both."""
    page = visit(f"{light.url}/docs").page
    upload = page.locator(".opblock", has_text="/remove/upload")
    upload.get_by_role("button").first.click()
    expect(upload).to_contain_text("background_file")
    health = page.locator(".opblock", has_text="/health")
    health.get_by_role("button").first.click()
    health.get_by_role("button", name="Try it out").click()
    health.get_by_role("button", name="Execute").click()
    expect(health.locator(".live-responses-table")).to_contain_text('"status": "ok"')


def test_a_developer_tries_an_upload_with_nothing_but_a_photo(
    visit: Callable[..., Visit], light: Service
) -> None:
    """The form would ask for a background of the colour "string", and a result of 16 pixels."""
    page = visit(f"{light.url}/docs").page
    upload = page.locator(".opblock", has_text="/remove/upload")
    upload.get_by_role("button").first.click()
    upload.get_by_role("button", name="Try it out").click()
    photo = FilePayload(name="photo.png", mimeType="image/png", buffer=wish())
    upload.locator("input[type=file]").first.set_input_files(photo)
    upload.get_by_role("button", name="Execute").click()
    expect(upload.locator(".live-responses-table")).to_contain_text('"task_id": "bgremove_')
