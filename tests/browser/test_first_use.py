"""First use of the page, with the real built-in model; and several photos together."""

import re
from collections.abc import Callable
from zipfile import ZipFile

import pytest
from playwright.sync_api import Download, expect

from tests.browser.visit import Visit
from tests.conftest import SAMPLES
from tests.photos import opened
from tests.service import Service

Open = Callable[..., Visit]
REFUSED = "415"  # the browser logs every error response
CAT = (SAMPLES / "cat.jpg").read_bytes()


@pytest.fixture
def astronaut_photo(astronaut: bytes) -> tuple[str, str, bytes]:
    """The sample photo, as a file to drop."""
    return "astronaut.jpg", "image/jpeg", astronaut


def test_drop_compare_and_download(
    start: Callable[..., Service], visit: Open, astronaut_photo: tuple[str, str, bytes]
) -> None:
    """With nothing set up but the service."""
    service = start()
    page = visit(service.url)
    expect(page.row("server")).to_contain_text("Ready")
    expect(page.row("server")).to_contain_text(service.url)
    expect(page.row("server").get_by_role("button")).to_have_count(
        0
    )  # no host application that could stop it
    page.drop(astronaut_photo)
    expect(page.photo("astronaut.jpg").get_by_role("progressbar")).to_be_visible()
    expect(page.page.locator(".job-status")).to_be_visible()
    expect(page.done("astronaut.jpg")).to_contain_text(re.compile("512 . 512 · PNG"))
    page.page.locator(".result-details summary").click()
    expect(page.page.locator(".result-details")).to_contain_text("Model: built-in (u2netp) on cpu")
    for step in ("Queued", "Decode", "Inference", "Encode", "Total"):
        expect(page.page.locator(".timings")).to_contain_text(step)
    expect(page.page.locator(".timings")).to_be_visible()
    expect(page.page.locator(".suggestion")).to_contain_text("BiRefNet finds finer edges")
    expect(page.page.locator(".suggestion").get_by_role("button")).to_have_text("Download BiRefNet")
    slider = page.page.get_by_role("slider")
    slider.focus()
    slider.press("ArrowLeft")
    expect(slider).to_have_attribute("aria-valuetext", "49 % original")
    name, cutout = page.download(page.button("Download"))
    assert name == "astronaut-cutout.png"
    assert (cutout.mode, cutout.size) == ("RGBA", (512, 512))
    alpha = cutout.getchannel("A")
    assert alpha.getpixel((500, 20)) == 0
    assert alpha.getpixel((220, 120)) == 255


def test_several_photos_and_a_broken_file_together(
    visit: Open, light: Service, astronaut_photo: tuple[str, str, bytes]
) -> None:
    """An invalid file does not block the others; all results come in one zip, also after a double click."""
    page = visit(light.url, expected=(REFUSED,))
    cat = ("cat.jpg", "image/jpeg", CAT)
    page.drop(astronaut_photo, ("notes.png", "image/png", b"shopping list"), cat, cat)
    expect(page.photo("notes.png")).to_contain_text("not an image")
    expect(page.done("astronaut.jpg")).to_be_visible()
    expect(page.done("cat.jpg")).to_have_count(2)
    downloads: list[Download] = []
    page.page.on("download", lambda download: downloads.append(download))  # noqa: PLW0108  # Playwright cannot take a built-in
    page.button("Download all").dblclick()
    expect(page.button("Download all")).to_be_enabled()
    page.page.wait_for_timeout(800)
    (download,) = downloads
    assert download.suggested_filename == "cutouts.zip"
    with ZipFile(download.path()) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["astronaut-cutout.png", "cat-cutout.png", "cat-cutout (2).png"]
        assert opened(archive.read("astronaut-cutout.png")).size == (512, 512)
        assert archive.read("cat-cutout.png") == archive.read("cat-cutout (2).png")
    page.button("Clear").click()
    expect(page.button("Choose photos")).to_be_visible()
    expect(page.page.locator(".photo")).to_have_count(0)
