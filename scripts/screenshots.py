"""Takes the README's screenshots of the page: python3 scripts/screenshots.py

In the installed Chromium, with samples processed by the built-in model.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
from typing import TYPE_CHECKING

import bootstrap

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FOLDER = bootstrap.ROOT / "docs"
SAMPLES = bootstrap.ROOT / "scripts" / "samples"
VIEWPORT = {"width": 1280, "height": 900}
MAX_BYTES = 500_000
BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")
TIMEOUT_MS = 120_000  # the first environment status imports every package


def main() -> int:
    """Take both screenshots."""
    about = "Take the README's screenshots of the page, docs/page-light.png and docs/page-dark.png."
    argparse.ArgumentParser(description=about, allow_abbrev=False).parse_args()
    bootstrap.reexec(bootstrap.ensure(bootstrap.TESTS))
    # Imported here: only .venv's Python has these packages.
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    from benches.bench_server import run_server  # noqa: PLC0415

    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        bootstrap.print_message("Chromium is not installed")
        return 1
    with run_server() as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        for scheme in ("light", "dark"):
            path = FOLDER / f"page-{scheme}.png"
            path.write_bytes(_optimise(_take_screenshot(browser, server.url, scheme)))
            size_bytes = path.stat().st_size
            bootstrap.print_message(f"wrote {path} ({size_bytes / 1000:.0f} kB)")
            if size_bytes > MAX_BYTES:
                return 1
        browser.close()
    return 0


def _take_screenshot(browser: Browser, url: str, scheme: str) -> bytes:
    """Return the page as a PNG after the samples were processed."""
    context = browser.new_context(viewport=VIEWPORT, color_scheme=scheme)  # type: ignore[arg-type]  # a Literal there
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    page.goto(url)
    page.locator("#status-line.ready").wait_for()
    page.set_input_files("#files", [SAMPLES / "astronaut.jpg", SAMPLES / "cat.jpg"])
    page.locator(".photo[data-state=done]").nth(1).wait_for()
    page.locator(".layer.after img").wait_for()
    page.mouse.move(0, 0)
    png = page.screenshot()
    context.close()
    return png


def _optimise(png: bytes) -> bytes:
    """Return the PNG with optimised compression."""
    from PIL import Image  # noqa: PLC0415

    stream = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(stream, "PNG", optimize=True)
    return stream.getvalue()


if __name__ == "__main__":
    sys.exit(main())
