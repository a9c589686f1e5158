"""Access token: the page prompts for it once, and no URL contains it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Route, expect

from tests.browser.conftest import BY_LIGHT
from tests.browser.visit import Visit
from tests.integration.scratch import Scratch
from tests.photos import encoded
from tests.service import Service

Open = Callable[..., Visit]
TOKEN = "s3cret-t0ken"
REFUSED = "401"  # the browser logs every error response


@pytest.fixture
def guarded(data_dir: Path, tmp_path: Path) -> Iterator[Service]:
    """A service that requires a token."""
    with Scratch(tmp_path / "scratch").service(data_dir, token=TOKEN, builtin_worker=BY_LIGHT) as service:
        yield service


def test_the_token_is_prompted_for_once_per_tab(visit: Open, guarded: Service) -> None:
    """A wrong one is rejected; then status, upload, stream and files work, also after a reload."""
    page = visit(guarded.url, expected=(REFUSED,))
    dialog = page.page.get_by_role("dialog", name="Access token required")
    for wrong in ("guess", "tokén"):
        dialog.get_by_label("Token", exact=True).fill(wrong)
        dialog.get_by_role("button").click()
        expect(dialog.get_by_role("alert")).to_have_text("That token was not accepted.")
    dialog.get_by_label("Token", exact=True).fill(TOKEN)
    page.page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(page.row("server").locator(".state")).to_have_text("Ready")
    page.page.reload()
    expect(page.row("server").locator(".state")).to_have_text("Ready")
    photo = encoded(Image.new("RGBA", (60, 40), (255, 255, 255, 90)))
    page.drop(("green.png", "image/png", photo))
    expect(page.done("green.png")).to_be_visible()
    _, image = page.download(page.button("Download"))
    assert image.getpixel((5, 5)) == (255, 255, 255, 90)
    assert not [url for url in page.requested if TOKEN in url]
    assert page.page.evaluate("localStorage.length") == 0
    assert TOKEN not in guarded.log


def test_another_tab_prompts_again_and_can_be_dismissed(visit: Open, guarded: Service) -> None:
    """The page then shows the reason, and prompts again on a refresh."""
    page = visit(guarded.url, expected=(REFUSED,))
    dialog = page.page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    page.page.keyboard.press("Escape")
    expect(page.row("server")).to_contain_text("An access token is required")
    expect(page.row("server").locator(".state")).to_have_text("Not Ready")
    page.button("Refresh status").click()
    expect(dialog).to_be_visible()


def test_a_refusal_that_arrives_after_the_new_token_does_not_prompt_again(
    visit: Open, guarded: Service
) -> None:
    """The environment's status takes seconds, and was requested without the token."""
    page = visit(guarded.url, expected=(REFUSED,))
    dialog = page.page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    page.page.keyboard.press("Escape")
    late: list[Route] = []
    page.page.route("**/env/status", lambda route: route.continue_() if late else late.append(route))
    page.button("Refresh status").click()
    dialog.get_by_label("Token", exact=True).fill(TOKEN)
    page.page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(page.row("server").locator(".state")).to_have_text("Ready")
    late[0].continue_()
    expect(page.row("environment")).to_contain_text("modules installed")
    expect(dialog).to_be_hidden()
