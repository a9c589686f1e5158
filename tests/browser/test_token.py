"""A service that wants a token: the page asks for it once, and no address carries it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import BY_LIGHT
from tests.browser.visit import Visit
from tests.integration.scratch import Scratch
from tests.photos import encoded
from tests.service import Service

Open = Callable[..., Visit]
TOKEN = "s3cret-t0ken"
REFUSED = "401"  # the browser itself logs every refusal


@pytest.fixture
def guarded(data_dir: Path, tmp_path: Path) -> Iterator[Service]:
    """A service with a token."""
    with Scratch(tmp_path / "scratch").service(data_dir, token=TOKEN, builtin_worker=BY_LIGHT) as service:
        yield service


def test_it_is_asked_for_once_and_kept_for_the_tab(visit: Open, guarded: Service) -> None:
    """A wrong one is asked again; then status, upload, stream and files all work, also after a reload."""
    page = visit(guarded.url, expected=(REFUSED,))
    dialog = page.page.get_by_role("dialog", name="This service wants its token")
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
    _, image = page.downloaded(page.button("Download"))
    assert image.getpixel((5, 5)) == (255, 255, 255, 90)
    assert not [url for url in page.asked if TOKEN in url]
    assert page.page.evaluate("localStorage.length") == 0
    assert TOKEN not in guarded.log


def test_another_tab_is_asked_again_and_may_decline(visit: Open, guarded: Service) -> None:
    """The page then says what it lacks, and asks again when told to."""
    page = visit(guarded.url, expected=(REFUSED,))
    dialog = page.page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    page.page.keyboard.press("Escape")
    expect(page.row("server")).to_contain_text("This service wants its token")
    expect(page.row("server").locator(".state")).to_have_text("Not Ready")
    page.button("Refresh status").click()
    expect(dialog).to_be_visible()
