"""One visit to the page: what users do there, and all that the page asked for or complained about."""

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
PATIENCE_MS = 15_000
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
    """A page, opened at a service."""

    def __init__(self, page: Page, url: str, expected: Sequence[str]) -> None:
        self.page = page
        self.url = url
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self._expected = expected
        page.set_default_timeout(PATIENCE_MS)
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda message: self._hear(message.type, message.text))
        page.on("pageerror", lambda error: self._hear("error", str(error)))
        page.goto(url)

    def _hear(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not any(part in text for part in self._expected):
            self.complaints.append(text)

    def row(self, name: str) -> Locator:
        """Return a row of the status table, with what runs below it."""
        return self.page.locator(f"#row-{name}")

    def button(self, name: str) -> Locator:
        """Return the button of that name that can be seen."""
        return self.page.get_by_role("button", name=name, exact=True)

    def photo(self, name: str) -> Locator:
        """Return a photo's row in the queue."""
        return self.page.locator(".photo", has_text=name)

    def done(self, name: str) -> Locator:
        """Return a photo's row once its background is removed."""
        return self.page.locator(".photo[data-state=done]", has_text=name)

    def drop(self, *files: tuple[str, str, bytes]) -> None:
        """Drop files, each a name, a type and its bytes, anywhere on the page."""
        told = [(name, kind, base64.b64encode(content).decode()) for name, kind, content in files]
        transfer = self.page.evaluate_handle(DROP, told)
        for event in ("dragover", "drop"):
            self.page.dispatch_event("#photos", event, {"dataTransfer": transfer})

    def downloaded(self, button: Locator) -> tuple[str, Any]:
        """Press a download's button; return the file's name and the image in it."""
        with self.page.expect_download() as info:
            button.click()
        return info.value.suggested_filename, opened(Path(info.value.path()).read_bytes())

    def check(self) -> None:
        """Check that there was no complaint, and no question to anybody but the service."""
        assert not self.complaints, self.complaints
        here = urlsplit(self.url).netloc
        foreign = [url for url in self.asked if urlsplit(url).netloc != here]
        assert not [url for url in foreign if not url.startswith(("blob:", "data:"))]


@contextmanager
def visiting(browser: Browser, url: str, expected: Sequence[str], context: dict[str, Any]) -> Iterator[Visit]:
    """Visit the page in a context of its own. Console lines with one of the `expected` parts are forgiven."""
    scripts = context.pop("scripts", ())
    with browser.new_context(**{"viewport": WIDE, **context}) as own:
        for script in scripts:
            own.add_init_script(script)
        visit = Visit(own.new_page(), url, expected)
        yield visit
        visit.check()
