"""Viewer: backdrop, zoom, divider, touch, clipboard."""

import re
from collections.abc import Callable

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import expect

from tests.browser.visit import PHONE, Visit
from tests.conftest import SAMPLES
from tests.photos import encoded, opened
from tests.service import Service

Open = Callable[..., Visit]
SIDE = 400


@pytest.fixture(scope="module")
def disc() -> tuple[str, str, bytes]:
    """A white disc on a transparent background."""
    image = Image.new("RGBA", (SIDE, SIDE))
    ImageDraw.Draw(image).ellipse((100, 100, 300, 300), fill="white")
    return "disc.png", "image/png", encoded(image)


@pytest.fixture
def viewer(visit: Open, light: Service, disc: tuple[str, str, bytes]) -> Visit:
    """The page with a result in the viewer."""
    return show_result(visit(light.url, permissions=["clipboard-read", "clipboard-write"]), disc)


def show_result(page: Visit, photo: tuple[str, str, bytes]) -> Visit:
    """Process a photo and wait for its result in the viewer."""
    page.drop(photo)
    expect(page.done(photo[0])).to_be_visible()
    expect(page.page.locator(".layer.after img")).to_be_visible()
    return page


def pixel(page: Visit, x: float, y: float) -> tuple[int, ...]:
    """Return the displayed colour at a point of the page."""
    shot = opened(page.page.screenshot(clip={"x": x, "y": y, "width": 1, "height": 1}))
    found = shot.convert("RGB").getpixel((0, 0))
    assert isinstance(found, tuple)
    return found


def sheet(page: Visit) -> dict[str, float]:
    """Return the bounding box of the result on the screen."""
    box = page.page.locator(".layer.after .sheet").bounding_box()
    assert box
    return {"x": box["x"], "y": box["y"], "width": box["width"], "height": box["height"]}


def zoom(page: Visit) -> int:
    """Return the zoom in percent."""
    text = page.page.locator("output").text_content() or ""
    return int(text.removesuffix(" %"))


@pytest.mark.parametrize("size", [(300, 1200), (1500, 300)], ids=["tall", "wide"])
def test_the_whole_of_a_tall_or_wide_photo_is_shown_in_its_proportions(
    visit: Open, light: Service, size: tuple[int, int]
) -> None:
    """It fills the view along its longer side, up to the margin."""
    photo = ("photo.png", "image/png", encoded(Image.new("RGB", size, "white")))
    page = show_result(visit(light.url), photo)
    page.page.wait_for_timeout(500)  # the view gets its size from what is below it
    view, box = page.page.locator(".view").bounding_box(), sheet(page)
    assert view
    assert box["width"] / box["height"] == pytest.approx(size[0] / size[1], rel=0.02)
    assert view["width"] - box["width"] >= 26
    assert view["height"] - box["height"] >= 26
    assert min(view["width"] - box["width"], view["height"] - box["height"]) < 32
    assert box["x"] - view["x"] == pytest.approx((view["width"] - box["width"]) / 2, abs=2)
    assert box["y"] - view["y"] == pytest.approx((view["height"] - box["height"]) / 2, abs=2)


def test_the_groups_of_the_toolbar_have_no_lines_between_them(viewer: Visit) -> None:
    """Styles of the options' groups do not apply to them."""
    expect(viewer.page.get_by_role("group", name="Zoom")).to_have_css("border-top-width", "0px")


def test_the_background_that_is_seen_is_in_the_file(viewer: Visit) -> None:
    """At once in the view, and from the service in the file; each photo has its own."""
    page = viewer.page
    page.get_by_role("slider").press("Home")
    box = sheet(viewer)
    for name, colour in (("White", (255, 255, 255)), ("Black", (0, 0, 0))):
        page.get_by_role("radio", name=name).check(force=True)
        assert pixel(viewer, box["x"] + box["width"] - 8, box["y"] + 8) == colour
        _, image = viewer.download(viewer.button("Download"))
        assert image.convert("RGB").getpixel((image.width - 8, 8)) == colour
        assert image.mode == "RGB"
    with page.expect_file_chooser() as chooser:
        page.get_by_role("radio", name="Image").check(force=True)
    chooser.value.set_files(SAMPLES / "astronaut.jpg")
    _, image = viewer.download(viewer.button("Download"))
    assert image.mode == "RGB"
    assert image.getpixel((image.width - 8, 8)) != (0, 0, 0)
    page.get_by_role("radio", name="Transparent").check(force=True)
    _, image = viewer.download(viewer.button("Download"))
    assert image.mode == "RGBA"
    assert image.getchannel("A").getpixel((image.width - 8, 8)) == 0


def test_the_backdrop_can_be_switched(viewer: Visit) -> None:
    """A halo around hair may be visible on black only."""
    page = viewer.page
    page.get_by_role("slider").press("Home")
    box = sheet(viewer)
    corner = (box["x"] + box["width"] - 8, box["y"] + 8)
    for name, colour in (("White", (255, 255, 255)), ("Black", (0, 0, 0))):
        page.get_by_role("radio", name=name).check(force=True)
        assert pixel(viewer, *corner) == colour
    page.get_by_role("radio", name="Black").press("ArrowRight")
    assert pixel(viewer, *corner) == (0xE8, 0xA3, 0x3D)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("radio", name="Image").check(force=True)
    chooser.value.set_files(SAMPLES / "astronaut.jpg")
    expect(page.locator(".layer.after .sheet")).to_have_css("background-image", re.compile("blob:"))
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert pixel(viewer, *middle) == (255, 255, 255)


def test_the_divider_zoom_and_pan_follow_keys_wheel_and_mouse(viewer: Visit) -> None:
    """The original is left of the divider, the result right of it."""
    page, slider = viewer.page, viewer.page.get_by_role("slider")
    for key, split in (("ArrowLeft", "49 %"), ("Home", "0 %"), ("End", "100 %")):
        slider.press(key)
        expect(slider).to_have_attribute("aria-valuetext", f"{split} original")
    knob = page.locator(".knob").bounding_box()
    view = page.locator(".view").bounding_box()
    assert knob
    assert view
    page.mouse.move(knob["x"] + 5, knob["y"] + 22)
    page.mouse.down()
    page.mouse.move(view["x"] + view["width"] * 0.25, view["y"] + 50, steps=4)
    page.mouse.up()
    expect(slider).to_have_attribute("aria-valuetext", "25 % original")
    fitted, before = zoom(viewer), sheet(viewer)
    point = (before["x"] + before["width"] * 0.25, before["y"] + before["height"] * 0.25)
    page.mouse.move(*point)
    page.mouse.wheel(0, -600)
    page.wait_for_function(
        "(fitted) => parseInt(document.querySelector('output').value) > fitted", arg=fitted
    )
    after = sheet(viewer)
    for side, start, spot in (("width", "x", point[0]), ("height", "y", point[1])):
        assert (spot - after[start]) / after[side] == pytest.approx(0.25, abs=0.01), (
            "the point under the cursor moved"
        )
    page.mouse.down()
    page.mouse.move(point[0] - 40, point[1] - 30, steps=4)
    page.mouse.up()
    panned = sheet(viewer)
    assert (panned["x"] - after["x"], panned["y"] - after["y"]) == pytest.approx((-40, -30), abs=1)
    slider.press("Shift+ArrowLeft")
    assert sheet(viewer)["x"] == pytest.approx(panned["x"] + 60, abs=1)
    slider.press("1")
    assert zoom(viewer) == max(100, fitted)
    slider.press("+")
    assert zoom(viewer) == pytest.approx(max(100, fitted) * 1.25, abs=1)
    viewer.button("Fit").click()
    assert zoom(viewer) == fitted


def test_a_cropped_result_is_aligned_with_the_original(visit: Open, light: Service) -> None:
    """The divider compares the same pixels."""
    photo = Image.new("RGB", (300, 200), (40, 0, 0))
    photo.paste((255, 255, 250), (120, 30, 180, 50))
    photo.paste((255, 255, 160), (150, 30, 180, 50))
    page = visit(light.url)
    page.open_options()
    page.page.get_by_label("Crop", exact=True).check()
    page.page.get_by_label("Max size").fill("30")
    show_result(page, ("flag.png", "image/png", encoded(photo)))
    expect(page.photo("flag.png")).to_contain_text("30 \N{MULTIPLICATION SIGN} 10")
    slider = page.page.get_by_role("slider")
    for key in ("Home", "End"):  # the result alone, then the original alone
        slider.press(key)
        box = sheet(page)
        for share, colour in ((0.25, (255, 255, 250)), (0.75, (255, 255, 160))):
            spot = box["x"] + share * box["width"], box["y"] + 0.5 * box["height"]
            assert pixel(page, *spot) == pytest.approx(colour, abs=15), f"{key} at {share}"


def test_a_pinch_zooms(visit: Open, light: Service, disc: tuple[str, str, bytes]) -> None:
    """Touch screens have no wheel."""
    viewer = show_result(visit(light.url, viewport=PHONE, has_touch=True, is_mobile=True), disc)
    viewer.page.locator(".view").scroll_into_view_if_needed()
    fitted = zoom(viewer)
    box = viewer.page.locator(".view").bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    devtools = viewer.page.context.new_cdp_session(viewer.page)
    for kind, apart in (("touchStart", 20), ("touchMove", 50), ("touchMove", 90)):
        points = [{"x": x - apart, "y": y, "id": 0}, {"x": x + apart, "y": y, "id": 1}]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert zoom(viewer) > fitted * 2


def test_a_result_is_copied_and_pasted_as_a_new_photo(viewer: Visit) -> None:
    """Results can be pasted into other applications, and screenshots into the page."""
    viewer.button("Copy").click()
    expect(viewer.button("Copied")).to_be_visible()
    viewer.page.locator(".view").click()  # which focuses the divider, an input element
    viewer.page.keyboard.press("Control+v")
    expect(viewer.page.locator(".photo[data-state=done]")).to_have_count(2)
    name, image = viewer.download(viewer.button("Download"))
    assert name == "image-cutout.png"
    assert image.size == (SIDE, SIDE)
    assert image.getpixel((5, 5))[3] == 0


def test_a_result_on_a_canvas_is_aligned_with_the_original(visit: Open, light: Service) -> None:
    """Also where the canvas reaches beyond the photo and enlarges the subject."""
    photo = Image.new("RGB", (300, 200), (40, 0, 0))
    photo.paste((255, 255, 250), (0, 0, 60, 40))
    photo.paste((255, 255, 160), (30, 0, 60, 40))
    page = visit(light.url)
    page.open_options()
    page.page.get_by_label("Canvas", exact=True).fill("400x400")
    page.page.get_by_label("Scale", exact=True).fill("50%")
    show_result(page, ("flag.png", "image/png", encoded(photo)))
    expect(page.photo("flag.png")).to_contain_text("400 \N{MULTIPLICATION SIGN} 400")
    slider = page.page.get_by_role("slider")
    for key in ("Home", "End"):  # the result alone, then the original alone
        slider.press(key)
        box = sheet(page)
        for share, colour in ((0.3, (255, 255, 250)), (0.7, (255, 255, 160))):
            spot = box["x"] + share * box["width"], box["y"] + 0.5 * box["height"]
            assert pixel(page, *spot) == pytest.approx(colour, abs=15), f"{key} at {share}"
