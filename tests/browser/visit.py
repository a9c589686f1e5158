"""A visit to the page: user actions, and a record of its requests and console messages."""

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Locator, Page

from tests.photos import opened

WIDE = {"width": 1600, "height": 1000}
PHONE = {"width": 360, "height": 740}
TABLET = {"width": 820, "height": 1180}
TIMEOUT_MS = 15_000
DROP = """
(files) => {
  const transfer = new DataTransfer();
  for (const [name, type, content] of files) {
    const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    transfer.items.add(new File([bytes], name, { type }));
  }
  return transfer;
}
"""


class Visit:
    """The page of a service, opened in a browser context."""

    def __init__(self, page: Page, url: str, expected: Sequence[str], *, status_open: bool = True) -> None:
        self.page = page
        self.url = url
        self.requested: list[str] = []
        self.errors: list[str] = []
        self._expected = expected
        page.set_default_timeout(TIMEOUT_MS)
        page.on("request", lambda request: self.requested.append(request.url))
        page.on("console", lambda message: self._record(message.type, message.text))
        page.on("pageerror", lambda error: self._record("error", str(error)))
        page.goto(url)
        if status_open:
            page.evaluate("document.getElementById('status-box')?.setAttribute('open', '')")

    def _record(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not any(part in text for part in self._expected):
            self.errors.append(text)

    def row(self, name: str) -> Locator:
        """Return a row of the status table, including its operation."""
        return self.page.locator(f"#row-{name}")

    def button(self, name: str) -> Locator:
        """Return the visible button of that name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def open_options(self) -> None:
        """Open the options and each of their groups."""
        self.page.locator("#options-box > summary").click()
        self.page.locator("#options .group").first.wait_for()
        self.page.eval_on_selector_all(
            "#options .group", "(groups) => groups.forEach((g) => { g.open = true; })"
        )

    def open_picker(self) -> None:
        """Open the list of the other models, and wait for it."""
        self.page.locator(".picker summary").click()
        self.model("builtin").wait_for()

    def model(self, name: str) -> Locator:
        """Return a model's line in the picker, including its operation."""
        heading = self.page.get_by_role("rowheader", name=name, exact=True)
        return self.page.locator(".models tbody").filter(has=heading)

    def photo(self, name: str) -> Locator:
        """Return a photo's row in the list."""
        return self.page.locator(".photo", has_text=name)

    def done(self, name: str) -> Locator:
        """Return a photo's row when its removal is done."""
        return self.page.locator(".photo[data-state=done]", has_text=name)

    def drop(self, *files: tuple[str, str, bytes]) -> None:
        """Drop files, each a name, a media type and bytes, on the page."""
        items = [(name, kind, base64.b64encode(content).decode()) for name, kind, content in files]
        transfer = self.page.evaluate_handle(DROP, items)
        for event in ("dragover", "drop"):
            self.page.dispatch_event("#photos", event, {"dataTransfer": transfer})

    def download(self, button: Locator) -> tuple[str, Any]:
        """Click a download button; return the file name and the image."""
        with self.page.expect_download() as info:
            button.click()
        return info.value.suggested_filename, opened(Path(info.value.path()).read_bytes())

    def check(self) -> None:
        """Check that there were no errors, and no requests to other hosts."""
        assert not self.errors, self.errors
        own_host = urlsplit(self.url).netloc
        foreign = [url for url in self.requested if urlsplit(url).netloc != own_host]
        assert not [url for url in foreign if not url.startswith(("blob:", "data:"))]


@contextmanager
def open_visit(
    browser: Browser, url: str, expected: Sequence[str], context: dict[str, Any]
) -> Iterator[Visit]:
    """Open the page in a browser context of its own. Console messages with an `expected` part are allowed."""
    scripts, status_open = context.pop("scripts", ()), context.pop("status_open", True)
    with browser.new_context(**{"viewport": WIDE, **context}) as browser_context:
        for script in scripts:
            browser_context.add_init_script(script)
        visit = Visit(browser_context.new_page(), url, expected, status_open=status_open)
        yield visit
        visit.check()
