"""What the page keeps when things go wrong around it, and what it asks before it lets go of a result."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Dialog, expect

from tests.browser.visit import Visit
from tests.integration.scratch import Scratch
from tests.photos import encoded, wish
from tests.service import Service, wait_for

Open = Callable[..., Visit]
PHOTO = ("sea.png", "image/png", encoded(Image.new("RGB", (60, 40), "teal")))
AWAY = ("Failed to load resource", "ERR_", "net::")  # a browser's own words for a server that is gone


@pytest.fixture
def port() -> int:
    """A port that is free, for two servers one after the other."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        number: int = free.getsockname()[1]
    return number


def test_photos_outlive_the_server_that_they_were_sent_to(
    visit: Open, data_dir: Path, tmp_path: Path, port: int
) -> None:
    """A restart after an installation, or a crash: the page still has the photos, and sends them again."""
    scratch = Scratch(tmp_path / "scratch")
    with scratch.service(data_dir, port=port) as service:
        page = visit(service.url, expected=AWAY)
        photos = {"slow.png": wish("sleep 4"), "sea.png": wish("sea"), "next.png": wish("next")}
        page.drop(*((name, "image/png", photo) for name, photo in photos.items()))
        expect(page.photo("slow.png")).to_contain_text("Sleeping")
    for name in photos:
        expect(page.photo(name)).not_to_contain_text("Cancelled")
    expect(page.photo("slow.png")).to_contain_text("sent again")
    page.button("Cancel slow.png").click()
    expect(page.photo("slow.png")).to_contain_text("Cancelled")
    del photos["slow.png"]
    with scratch.service(data_dir, port=port):
        for name in photos:
            expect(page.done(name)).to_be_visible(timeout=30_000)


def test_a_photo_that_cannot_be_read_is_not_the_servers_fault(
    visit: Open, data_dir: Path, tmp_path: Path
) -> None:
    """A folder was dropped, or the file was moved while it waited."""
    photos = [tmp_path / f"{name}.png" for name in ("one", "two", "gone")]
    for photo in photos:
        photo.write_bytes(wish("sleep 2"))
    with Scratch(tmp_path / "scratch").service(data_dir) as service:
        page = visit(service.url, expected=("Failed to load resource",))
        page.page.locator("#files").set_input_files(photos)
        photos[-1].unlink()
        expect(page.photo("gone.png")).to_contain_text("This cannot be read")
        expect(page.row("server")).to_contain_text("Ready")


def test_results_that_were_not_saved_are_not_thrown_away_unasked(visit: Open, light: Service) -> None:
    """Clear lies beside Download all, and F5 under a finger."""
    page = visit(light.url)
    page.drop(PHOTO)
    expect(page.done("sea.png")).to_be_visible()
    heard: list[str] = []

    def decline(dialog: Dialog) -> None:
        heard.append(dialog.message or dialog.type)
        dialog.dismiss()

    page.page.on("dialog", decline)
    page.button("Clear").click()
    assert heard == ["One result was not saved. Clear the list all the same?"]
    expect(page.done("sea.png")).to_be_visible()
    page.page.close(run_before_unload=True)
    page.page.wait_for_timeout(500)
    assert heard[1:] == ["beforeunload"]
    page.downloaded(page.button("Download"))
    page.button("Clear").click()
    expect(page.page.locator(".photo")).to_have_count(0)
    assert len(heard) == 2


def test_a_page_that_goes_leaves_nothing_on_its_way(visit: Open, data_dir: Path, tmp_path: Path) -> None:
    """Nobody would come for the result: it would hold the worker, and lie there for an hour."""
    with Scratch(tmp_path / "scratch").service(data_dir) as service:
        page = visit(service.url)
        page.drop(("slow.png", "image/png", wish("sleep 60")))
        expect(page.photo("slow.png")).to_contain_text("Sleeping")
        (path,) = service.temp_dir.rglob("bgremove_*")
        page.page.on("dialog", lambda dialog: dialog.accept())
        page.page.goto("about:blank")
        wait_for(lambda: not path.exists())
        assert service.task(path.name)["code"] == "cancelled"


@pytest.mark.parametrize(
    "inside",
    [
        {"scripts": ["window.bgremoveHost = { status: async () => 'running', onStatus() {} }"]},
        {"user_agent": "Mozilla/5.0 Chrome/140.0 Electron/38.0 Safari/537.36"},
    ],
    ids=["bgremoveHost", "Electron"],
)
def test_an_applications_window_can_be_closed(visit: Open, light: Service, inside: dict[str, object]) -> None:
    """There nobody asks: the window would stay open, and its user would not know why."""
    page = visit(light.url, **inside)
    page.drop(PHOTO)
    expect(page.done("sea.png")).to_be_visible()
    with page.page.expect_event("close"):
        page.page.close(run_before_unload=True)


def test_a_photo_of_nothing_says_so(visit: Open, service: Service) -> None:
    """An empty checkerboard might as well be a fault."""
    page = visit(service.url)
    page.drop(("grey.png", "image/png", encoded(Image.new("RGB", (64, 64), "grey"))))
    expect(page.photo("grey.png")).to_contain_text("No subject was found")
    expect(page.page.locator("#announcer")).to_contain_text("No subject was found")


def test_both_in_a_zip_say_where_they_are(visit: Open, service: Service, astronaut: bytes) -> None:
    """They cannot be shown or copied, and nothing is wrong with the browser."""
    page = visit(service.url)
    page.page.locator("#options-box summary").click()
    page.page.get_by_label("Output", exact=True).select_option("both")
    page.drop(("astronaut.jpg", "image/jpeg", astronaut))
    expect(page.page.locator(".note", has_text="in one zip")).to_be_visible()
    expect(page.button("Copy")).to_be_hidden()


def test_the_wheel_scrolls_the_page_until_the_picture_is_meant(visit: Open, light: Service) -> None:
    """On the way up to the status table the picture must not swallow it."""
    page = visit(light.url, viewport={"width": 1200, "height": 500})
    page.drop(PHOTO)
    expect(page.done("sea.png")).to_be_visible()
    expect(page.page.locator(".layer.after img")).to_be_visible()
    page.page.locator(".view").scroll_into_view_if_needed()
    page.page.evaluate("scrollTo(0, document.body.scrollHeight)")
    fitted = page.page.locator("output").text_content()
    page.page.locator(".view").hover()
    before = page.page.evaluate("scrollY")
    page.page.mouse.wheel(0, -150)
    page.page.wait_for_function("(before) => scrollY < before", arg=before)
    assert page.page.locator("output").text_content() == fitted
    page.page.locator(".view").click()
    page.page.mouse.wheel(0, -150)
    expect(page.page.locator("output")).not_to_have_text(fitted or "")
