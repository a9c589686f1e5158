"""Resilience: server restarts, unreadable files, unsaved results, closing the page."""

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
NETWORK_ERRORS = ("Failed to load resource", "ERR_", "net::")  # the browser's messages


@pytest.fixture
def port() -> int:
    """A free port, for two successive servers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        number: int = free.getsockname()[1]
    return number


def test_photos_are_sent_again_to_a_server_that_keeps_nothing(
    visit: Open, data_dir: Path, tmp_path: Path, port: int
) -> None:
    """The page still has the photos after a restart or crash of the server."""
    scratch = Scratch(tmp_path / "scratch")
    with scratch.service(data_dir, port=port, durable=False) as service:
        page = visit(service.url, expected=NETWORK_ERRORS)
        photos = {"slow.png": wish("sleep 4"), "sea.png": wish("sea"), "next.png": wish("next")}
        page.drop(*((name, "image/png", photo) for name, photo in photos.items()))
        expect(page.photo("slow.png")).to_contain_text("Sleeping")
    for name in photos:
        expect(page.photo(name)).not_to_contain_text("Cancelled")
    expect(page.photo("slow.png")).to_contain_text("The server does not respond")
    page.button("Cancel slow.png").click()
    expect(page.photo("slow.png")).to_contain_text("Cancelled")
    del photos["slow.png"]
    with scratch.service(data_dir, port=port, durable=False):
        for name in photos:
            expect(page.done(name)).to_be_visible(timeout=30_000)


def test_removals_go_on_after_a_server_restart(
    visit: Open, data_dir: Path, tmp_path: Path, port: int
) -> None:
    """The same tasks, and no photo twice."""
    scratch = Scratch(tmp_path / "scratch")
    names = ("slow.png", "sea.png")
    with scratch.service(data_dir, port=port) as service:
        page = visit(service.url, expected=NETWORK_ERRORS)
        page.drop(("slow.png", "image/png", wish("sleep 5")))
        expect(page.photo("slow.png")).to_contain_text("Sleeping")
        page.drop(("sea.png", "image/png", wish("sea")))
        expect(page.photo("sea.png")).to_contain_text("Next in the queue")
        before = {task["task_id"] for task in service.client.get("/tasks").json()}
    expect(page.photo("slow.png")).to_contain_text("The removal goes on")
    with scratch.service(data_dir, port=port) as again:
        for name in names:
            expect(page.done(name)).to_be_visible(timeout=30_000)
        assert {task["task_id"] for task in again.client.get("/tasks").json()} == before
    assert len(before) == 2


def test_a_reloaded_page_shows_its_photos_again(
    visit: Open, data_dir: Path, tmp_path: Path, port: int
) -> None:
    """Running and finished ones, also after a restart of the service; not those that are gone."""
    scratch = Scratch(tmp_path / "scratch")
    with scratch.service(data_dir, port=port) as service:
        page = visit(service.url, expected=NETWORK_ERRORS)
        page.page.on("dialog", lambda dialog: dialog.accept())
        gone = ("gone.png", "image/png", wish("gone"))
        page.drop(gone, ("sea.png", "image/png", wish("sea")), ("failed.png", "image/png", wish("fail")))
        expect(page.done("sea.png")).to_be_visible()
        expect(page.photo("failed.png")).to_contain_text("damaged")
        (path,) = (each.parent for each in service.spool_dir.rglob("source") if b"gone" in each.read_bytes())
        service.client.delete(f"/remove/result/{path.name}")
        page.drop(("slow.png", "image/png", wish("sleep 6")))
        expect(page.photo("slow.png")).to_contain_text("Sleeping")
        page.page.reload()
        expect(page.done("sea.png")).to_be_visible()
        expect(page.photo("failed.png")).to_contain_text("damaged")
        expect(page.photo("slow.png")).to_contain_text("Sleeping")
        expect(page.photo("gone.png")).to_have_count(0)
    with scratch.service(data_dir, port=port):
        page.page.reload()
        for name in ("sea.png", "slow.png"):
            expect(page.done(name)).to_be_visible(timeout=30_000)
        page.button("Remove sea.png from the list").click()
        page.page.reload()
        expect(page.done("slow.png")).to_be_visible()
        expect(page.photo("sea.png")).to_have_count(0)


BYTE_BY_BYTE = """
const send = window.fetch;
window.fetch = async (...request) => {
  const response = await send(...request);
  if (!response.ok || !String(request[0]).includes('/stream/')) return response;
  const split = new TransformStream({
    transform(chunk, controller) { for (const byte of chunk) controller.enqueue(Uint8Array.of(byte)); },
  });
  return new Response(response.body.pipeThrough(split), response);
};
"""


def test_an_event_that_arrives_in_pieces_is_shown(visit: Open, data_dir: Path, tmp_path: Path) -> None:
    """Networks and proxies split a stream anywhere: an install's log would stand still."""
    with Scratch(tmp_path / "scratch").service(data_dir) as service:
        page = visit(service.url, scripts=[BYTE_BY_BYTE])
        page.drop(("slow.png", "image/png", wish("sleep 60")))
        expect(page.photo("slow.png")).to_contain_text("Sleeping")
        page.button("Cancel slow.png").click()
        expect(page.photo("slow.png")).to_contain_text("Cancelled")


CUT_AFTER_ONE_EVENT = """
const send = window.fetch;
window.streams = 0;
window.fetch = async (...request) => {
  const response = await send(...request);
  if (!response.ok || !String(request[0]).includes('/stream/')) return response;
  window.streams += 1;
  const reader = response.body.getReader();
  const { value } = await reader.read();
  const cut = new ReadableStream({
    pull(controller) {
      if (window.sent !== window.streams) {
        window.sent = window.streams;
        controller.enqueue(value);
      } else {
        controller.error(new TypeError('network error'));
        reader.cancel();
      }
    },
  }, { highWaterMark: 0 });
  return new Response(cut, response);
};
"""


def test_a_removal_is_followed_through_more_breaks_than_are_allowed_in_a_row(
    visit: Open, data_dir: Path, tmp_path: Path
) -> None:
    """A proxy that cuts every stream: only breaks with no event between them are a lost server."""
    with Scratch(tmp_path / "scratch").service(data_dir) as service:
        page = visit(service.url, scripts=[CUT_AFTER_ONE_EVENT])
        page.drop(("slow.png", "image/png", wish("sleep 5")))
        expect(page.photo("slow.png")).to_contain_text("Sleeping")
        expect(page.photo("slow.png")).not_to_contain_text("Sleeping")
        assert page.page.evaluate("streams") > 6
        assert len(service.client.get("/tasks").json()) == 1, "it was sent once"


def test_an_unreadable_file_is_not_reported_as_a_server_failure(
    visit: Open, data_dir: Path, tmp_path: Path
) -> None:
    """A folder was dropped, or the file was moved while its job was waiting."""
    photos = [tmp_path / f"{name}.png" for name in ("one", "two", "gone")]
    for photo in photos:
        photo.write_bytes(wish("sleep 2"))
    with Scratch(tmp_path / "scratch").service(data_dir) as service:
        page = visit(service.url, expected=("Failed to load resource",))
        page.page.locator("#files").set_input_files(photos)
        photos[-1].unlink()
        expect(page.photo("gone.png")).to_contain_text("This file cannot be read")
        expect(page.row("server")).to_contain_text("Ready")


def test_unsaved_results_are_discarded_only_after_a_prompt(visit: Open, light: Service) -> None:
    """Clear and F5 are easily pressed by mistake."""
    page = visit(light.url)
    page.drop(PHOTO)
    expect(page.done("sea.png")).to_be_visible()
    prompts: list[str] = []

    def decline(dialog: Dialog) -> None:
        prompts.append(dialog.message or dialog.type)
        dialog.dismiss()

    page.page.on("dialog", decline)
    page.button("Clear").click()
    assert prompts == ["One result is not saved. Clear the list anyway?"]
    expect(page.done("sea.png")).to_be_visible()
    page.page.close(run_before_unload=True)
    page.page.wait_for_timeout(500)
    assert prompts[1:] == ["beforeunload"]
    page.download(page.button("Download"))
    page.button("Clear").click()
    expect(page.page.locator(".photo")).to_have_count(0)
    assert len(prompts) == 2


def test_a_photo_that_leaves_the_list_is_deleted_on_the_server(
    visit: Open, data_dir: Path, tmp_path: Path
) -> None:
    """An hour is long for a private photo."""
    with Scratch(tmp_path / "scratch").service(data_dir) as service:
        page = visit(service.url)
        page.drop(("sea.png", "image/png", wish("sea")))
        expect(page.done("sea.png")).to_be_visible()
        (source,) = service.spool_dir.rglob("source")
        page.button("Remove sea.png from the list").click()
        wait_for(lambda: not source.exists())


@pytest.mark.parametrize(
    "context",
    [
        {"scripts": ["window.bgremoveHost = { status: async () => 'running', onStatus() {} }"]},
        {"user_agent": "Mozilla/5.0 Chrome/140.0 Electron/38.0 Safari/537.36"},
    ],
    ids=["bgremoveHost", "Electron"],
)
def test_the_window_of_a_host_application_can_be_closed(
    visit: Open, light: Service, context: dict[str, object]
) -> None:
    """Electron shows no prompt: the window would not close."""
    page = visit(light.url, **context)
    page.drop(PHOTO)
    expect(page.done("sea.png")).to_be_visible()
    with page.page.expect_event("close"):
        page.page.close(run_before_unload=True)


def test_a_photo_without_subject_has_a_message(visit: Open, service: Service) -> None:
    """An empty checkerboard would look like an error."""
    page = visit(service.url)
    page.drop(("grey.png", "image/png", encoded(Image.new("RGB", (64, 64), "grey"))))
    expect(page.photo("grey.png")).to_contain_text("No subject was found")
    expect(page.page.locator("#announcer")).to_contain_text("No subject was found")


def test_a_zip_result_has_a_message(visit: Open, service: Service, astronaut: bytes) -> None:
    """The viewer cannot display or copy it."""
    page = visit(service.url)
    page.open_options()
    page.page.get_by_label("Output", exact=True).select_option("both")
    page.drop(("astronaut.jpg", "image/jpeg", astronaut))
    expect(page.page.locator(".note", has_text="in a zip file")).to_be_visible()
    expect(page.button("Copy")).to_be_hidden()


def test_the_wheel_zooms_only_when_the_viewer_has_the_focus(visit: Open, light: Service) -> None:
    """Otherwise it would stop the page from scrolling."""
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
