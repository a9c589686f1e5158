"""Accessibility: axe-core, keyboard, touch targets, font size, forced colours, focus ring."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.axe import find_violations
from tests.browser.visit import PHONE, TABLET, WIDE, Visit, open_visit
from tests.conftest import SAMPLES
from tests.photos import opened
from tests.service import Service

Open = Callable[..., Visit]
ASTRONAUT = (SAMPLES / "astronaut.jpg").read_bytes()
SMALL_TARGETS = """
[...document.querySelectorAll('button, select, input:not([type=checkbox], [type=file], #divider)')]
  .filter((node) => !node.classList.contains('visually-hidden'))
  .filter((node) => node.checkVisibility())
  .map((node) => [node.getAttribute('aria-label') ?? node.textContent, node.getBoundingClientRect()])
  .filter(([, box]) => box.height < 44 || box.width < 42)
  .map(([name, box]) => `${name}: ${box.width} x ${box.height}`)
"""
FONT_SIZES = """
[...document.querySelectorAll('input:not([type=file]), select')]
  .map((field) => parseFloat(getComputedStyle(field).fontSize))
"""
# The left edge of the focus ring.
RING_LEFT = """
(node) => {
  const { outlineOffset, outlineWidth } = getComputedStyle(node);
  return node.getBoundingClientRect().left - parseFloat(outlineOffset) - parseFloat(outlineWidth);
}
"""
# Whether the lower edge of the focused element is not covered.
IS_UNCOVERED = """
(node) => {
  const { left, bottom, width } = node.getBoundingClientRect();
  return node.contains(document.elementFromPoint(left + width / 2, bottom - 3));
}
"""


@pytest.mark.parametrize(("scheme", "viewport"), [("light", WIDE), ("dark", PHONE)], ids=["light", "dark"])
def test_axe_finds_no_violations(
    visit: Open, light: Service, axe: str, scheme: str, viewport: dict[str, int]
) -> None:
    """In each state of the page, light and dark; and nothing is wider than the screen."""
    page = visit(light.url, expected=("415",), color_scheme=scheme, viewport=viewport)
    expect(page.row("server")).to_contain_text("Ready")
    dark = (
        page.page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(16, 19, 25)"
    )
    assert dark == (scheme == "dark")
    assert find_violations(page.page, axe) == []
    page.open_options()
    page.open_picker()
    page.drop(("astronaut.jpg", "image/jpeg", ASTRONAUT), ("notes.txt", "text/plain", b"shopping list"))
    expect(page.done("astronaut.jpg")).to_be_visible()
    expect(page.photo("notes.txt")).to_contain_text("not an image")
    assert find_violations(page.page, axe) == []
    page.photo("notes.txt").locator(".pick").click()
    expect(page.page.locator(".job-status.failed")).to_be_visible()
    assert find_violations(page.page, axe) == []
    assert page.page.evaluate("document.documentElement.scrollWidth") == viewport["width"]


def test_every_action_works_by_keyboard(visit: Open, light: Service) -> None:
    """Choose, compare, zoom, download, remove; the focus is always visible."""
    page = visit(light.url)
    expect(page.row("server")).to_contain_text("Ready")

    def tab_to(name: str) -> None:
        for _ in range(40):
            page.page.keyboard.press("Tab")
            focused = page.page.locator(":focus")
            expect(focused).not_to_have_css("outline-style", "none")
            label = focused.evaluate("(node) => node.getAttribute('aria-label') ?? node.textContent")
            if label.strip() == name:
                return
        raise AssertionError(f"{name} was not reached")

    tab_to("Skip to the photos")
    page.page.keyboard.press("Enter")
    with page.page.expect_file_chooser() as chooser:
        tab_to("Choose photos")
        page.page.keyboard.press("Enter")
    chooser.value.set_files(SAMPLES / "astronaut.jpg")
    expect(page.done("astronaut.jpg")).to_be_visible()
    expect(page.page.locator("#announcer")).to_have_text("astronaut.jpg: background removed")
    slider = page.page.get_by_role("slider")
    slider.focus()
    page.page.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "51 % original")
    page.page.keyboard.press("+")
    tab_to("Download")
    with page.page.expect_download() as download:
        page.page.keyboard.press("Enter")
    assert download.value.suggested_filename == "astronaut-cutout.png"
    tab_to("Remove astronaut.jpg from the list")
    page.page.keyboard.press("Enter")
    expect(page.button("Choose photos")).to_be_visible()


@pytest.mark.parametrize("viewport", [PHONE, TABLET], ids=["phone", "tablet"])
def test_touch_targets_and_fonts_are_large_enough(
    visit: Open, light: Service, viewport: dict[str, int]
) -> None:
    """44 px, as Apple's and Google's guidelines require; below 16 px iOS zooms into a focused field."""
    page = visit(light.url, viewport=viewport, has_touch=True, is_mobile=True)
    page.open_options()
    page.open_picker()
    page.drop(("astronaut.jpg", "image/jpeg", ASTRONAUT))
    expect(page.done("astronaut.jpg")).to_be_visible()
    assert page.page.evaluate(SMALL_TARGETS) == []
    assert min(page.page.evaluate(FONT_SIZES)) >= 16


def test_the_browsers_font_size_applies(launch: Callable[..., Browser], light: Service) -> None:
    """Users with low vision set it once for all pages; nothing gets wider than the screen."""
    with (
        launch("--blink-settings=defaultFontSize=24") as browser,
        open_visit(browser, light.url, (), {"viewport": PHONE}) as page,
    ):
        page.drop(("astronaut.jpg", "image/jpeg", ASTRONAUT), ("again.jpg", "image/jpeg", ASTRONAUT))
        expect(page.done("again.jpg")).to_be_visible()
        expect(page.button("Download all")).to_be_visible()
        assert page.page.evaluate("getComputedStyle(document.body).fontSize") == "22.5px"
        assert page.page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_the_sticky_button_covers_no_focused_option(visit: Open, light: Service) -> None:
    """A focused field must not be behind it, and nothing may shine through it."""
    page = visit(light.url, viewport=PHONE)
    page.drop(("astronaut.jpg", "image/jpeg", ASTRONAUT))
    expect(page.done("astronaut.jpg")).to_be_visible()
    page.open_options()
    apply = page.button("Apply to this photo")
    expect(apply).to_be_disabled()
    expect(apply).to_have_css("opacity", "1")
    focused = page.page.locator(":focus")
    page.page.get_by_label("Model", exact=True).focus()
    while focused.get_attribute("type") != "submit":
        assert focused.evaluate(IS_UNCOVERED), focused.get_attribute("id")
        page.page.keyboard.press("Tab")


def test_progress_is_visible_in_forced_colours(visit: Open, light: Service) -> None:
    """Windows' contrast themes override backgrounds, which a progress bar consists of."""
    page = visit(light.url, forced_colors="active")
    bar = page.page.locator("progress").first
    bar.evaluate("(node) => { document.body.prepend(node); node.hidden = false; node.value = 50; }")
    shot = opened(bar.screenshot()).convert("RGB")
    assert shot.getpixel((shot.width // 4, 3)) != shot.getpixel((3 * shot.width // 4, 3))


def test_a_row_shows_the_focus_ring_and_right_to_left_names(visit: Open, light: Service) -> None:
    """The scrolling list clips; Arabic and Hebrew names start at the right."""
    page = visit(light.url, viewport=PHONE)
    name = "\N{ARABIC LETTER SAD}\N{ARABIC LETTER WAW}\N{ARABIC LETTER REH}" * 20
    page.drop((f"{name}.png", "image/png", ASTRONAUT))
    row = page.photo(name)
    expect(row.locator(".name")).to_have_css("direction", "rtl")
    page.button("Add photos").focus()
    while page.page.locator(":focus").get_attribute("class") != "pick":
        page.page.keyboard.press("Tab")
    listed = page.page.locator("#queue").bounding_box()
    assert listed
    assert row.locator(".pick").evaluate(RING_LEFT) >= listed["x"]
