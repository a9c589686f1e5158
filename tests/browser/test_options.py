"""Options form, generated from the service's option descriptions."""

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Route, expect

from tests.browser.visit import Visit
from tests.conftest import SAMPLES
from tests.service import Service

Open = Callable[..., Visit]
CAT = (SAMPLES / "cat.jpg").read_bytes()


def describe(name: str, kind: str, default: Any = None, **more: Any) -> dict[str, Any]:
    """Return an option description, as in GET /options."""
    plain: dict[str, Any] = {
        "choices": [],
        "minimum": None,
        "maximum": None,
        "unit": None,
        "group": "result",
        "help": f"what {name} does",
    }
    return {"name": name, "kind": kind, "default": default, **plain, **more}


UNKNOWN_OPTIONS = [
    describe("style", "choice", "png", choices=["png", "webp"]),
    describe("polish", "boolean", default=True),
    describe("padding", "integer", minimum=0, maximum=500, unit="px"),
    describe("paper", "colour"),
    describe("scene", "image"),
    describe("note", "text", ""),
]


def test_options_come_from_the_service_and_are_sent(visit: Open, light: Service) -> None:
    """Every option has a field with its help text; changed values are sent."""
    page = visit(light.url)
    page.open_options()
    for option in light.client.get("/options").json():
        control = page.page.locator(f"#option-{option['name']}")
        expect(control).to_be_visible()
        expect(control).to_have_accessible_description(f"{option['help'][0].upper()}{option['help'][1:]}.")
    page.page.get_by_label("Output").select_option("mask")
    expect(page.page.locator("#options-summary")).to_have_text("1 changed")
    page.page.set_input_files("#files", {"name": "cat.jpg", "mimeType": "image/jpeg", "buffer": CAT})
    expect(page.done("cat.jpg")).to_be_visible()
    name, _ = page.download(page.button("Download"))
    assert name == "cat-mask.png"


def test_options_of_every_kind_are_offered_and_sent(visit: Open, light: Service) -> None:
    """Options that the page does not know are shown; only changed values are sent."""
    visited = visit(light.url, expected=("422",))
    page = visited.page
    page.route("**/api/v1/options", lambda route: route.fulfill(json=UNKNOWN_OPTIONS))
    page.reload()
    visited.open_options()
    page.get_by_label("Polish", exact=True).uncheck()
    page.get_by_label("Padding").fill("12")
    expect(page.get_by_label("Padding")).to_have_attribute("max", "500")
    page.get_by_label("Colour picker: Paper", exact=True).fill("#336699")
    expect(page.get_by_label("Paper", exact=True)).to_have_value("#336699")
    page.get_by_label("Scene").set_input_files(SAMPLES / "astronaut.jpg")
    expect(page.locator("#options-summary")).to_have_text("4 changed")
    with page.expect_request("**/remove/upload") as request:
        page.set_input_files("#files", {"name": "cat.jpg", "mimeType": "image/jpeg", "buffer": CAT})
    body = request.value.post_data_buffer or b""
    for name, value in (("polish", b"false"), ("padding", b"12"), ("paper", b"#336699")):
        assert b'name="%s"\r\n\r\n%s\r\n' % (name.encode(), value) in body
    assert b'name="scene"; filename="astronaut.jpg"' in body
    assert b'name="style"' not in body
    assert b'name="note"' not in body
    expect(page.locator(".photo.failed")).to_contain_text("is not known")


def test_options_can_be_applied_to_a_finished_photo(visit: Open, light: Service) -> None:
    """Without choosing the file again; the previous result remains."""
    page = visit(light.url)
    page.open_options()
    page.page.set_input_files("#files", {"name": "cat.jpg", "mimeType": "image/jpeg", "buffer": CAT})
    expect(page.done("cat.jpg")).to_have_count(1)
    apply = page.button("Apply to this photo")
    expect(apply).to_be_disabled()
    page.page.get_by_label("Max size").fill("50")
    expect(apply).to_be_enabled()
    apply.press("Enter")
    expect(apply).to_be_focused()
    expect(apply).to_be_disabled()
    expect(page.done("cat.jpg")).to_have_count(2)
    expect(page.done("50 \N{MULTIPLICATION SIGN} ")).to_have_class(re.compile("selected"))
    apply.press("Enter")
    page.page.get_by_label("Max size").fill("")
    expect(apply).to_be_enabled()
    page.page.locator(".photo").first.locator(".pick").click()
    expect(apply).to_be_disabled()
    expect(page.page.locator(".photo")).to_have_count(2)


def test_options_are_in_groups_that_count_their_changes(visit: Open, light: Service) -> None:
    """All at once, they would be several screens high."""
    page = visit(light.url).page
    page.locator("#options-box > summary").click()
    groups = page.locator("#options .group")
    expect(groups.locator("summary")).to_have_text(["Result", "Background", "Layout", "Shadow", "Advanced"])
    expect(page.get_by_label("Output", exact=True)).to_be_visible()
    expect(page.get_by_label("Margin", exact=True)).to_be_hidden()
    groups.nth(2).locator("summary").click()
    page.get_by_label("Margin", exact=True).fill("5%")
    expect(groups.nth(2).locator("summary")).to_have_text("Layout1 changed")


def test_a_preset_fills_in_its_options(visit: Open, light: Service) -> None:
    """What is shown is what is sent; unchanged options of a preset go with it."""
    visited = visit(light.url)
    page = visited.page
    visited.open_options()
    preset, format_ = page.get_by_label("Preset", exact=True), page.get_by_label("Format", exact=True)
    background = page.get_by_label("Background", exact=True)
    page.get_by_label("Quality", exact=True).fill("70")
    preset.select_option("marketplace")
    expect(background).to_have_value("white")
    expect(page.get_by_label("Canvas", exact=True)).to_have_value("2000x2000")
    expect(format_).to_have_value("jpeg")
    expect(page.get_by_label("Colour picker: Background", exact=True)).to_have_value("#ffffff")
    preset.select_option("avatar")
    expect(page.get_by_label("Canvas", exact=True)).to_have_value("1:1")
    expect(background).to_have_value("")
    expect(page.get_by_label("Crop", exact=True)).to_be_checked()
    preset.select_option("marketplace")
    expect(page.get_by_label("Crop", exact=True)).not_to_be_checked()
    format_.select_option("png")
    page.get_by_label("Background file", exact=True).set_input_files(SAMPLES / "astronaut.jpg")
    sent: list[bytes] = []

    def record(route: Route) -> None:
        sent.append(route.request.post_data_buffer or b"")
        route.continue_()

    page.route("**/remove/upload", record)
    page.set_input_files("#files", {"name": "cat.jpg", "mimeType": "image/jpeg", "buffer": CAT})
    expect(visited.done("cat.jpg")).to_contain_text("2000 \N{MULTIPLICATION SIGN} 2000 \N{MIDDLE DOT} PNG")
    (body,) = sent
    assert b'name="canvas"\r\n\r\n2000x2000\r\n' in body
    for name in (b"format", b"background", b"preset", b"crop"):
        assert b'name="%s"' % name not in body


def test_options_are_kept_when_the_page_is_reloaded(visit: Open, light: Service) -> None:
    """A preset stays chosen, and what was changed of it stays changed."""
    visited = visit(light.url)
    page = visited.page
    visited.open_options()
    preset, canvas = page.get_by_label("Preset", exact=True), page.get_by_label("Canvas", exact=True)
    preset.select_option("marketplace")
    page.get_by_label("Format", exact=True).select_option("png")
    page.get_by_label("Refine", exact=True).uncheck()
    summary = page.locator("#options-summary").text_content() or ""
    page.reload()
    visited.open_options()
    expect(page.locator("#options-summary")).to_have_text(summary)
    expect(page.get_by_label("Format", exact=True)).to_have_value("png")
    expect(page.get_by_label("Refine", exact=True)).not_to_be_checked()
    expect(canvas).to_have_value("2000x2000")
    preset.select_option("")
    expect(canvas).to_have_value("")
