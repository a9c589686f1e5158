"""Takes the README's pictures of the page: python3 scripts/screenshots.py

The real page in the installed Chromium, with the sample cut out by the real built-in model.
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
LARGEST_BYTES = 300_000
PATIENCE_MS = 120_000  # the first look at the environment tries every import


def main() -> int:
    """Take both pictures."""
    about = "Take the README's pictures of the page, docs/page-light.png and docs/page-dark.png."
    argparse.ArgumentParser(description=about, allow_abbrev=False).parse_args()
    bootstrap.reexec(bootstrap.ensure(bootstrap.TESTS))
    # Imported here: only .venv's Python has them.
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    from benches.bench_server import running  # noqa: PLC0415

    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        bootstrap.print_message("needs Chromium")
        return 1
    with running() as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        for scheme in ("light", "dark"):
            path = FOLDER / f"page-{scheme}.png"
            path.write_bytes(_smaller(_picture(browser, server.url, scheme)))
            size_bytes = path.stat().st_size
            bootstrap.print_message(f"wrote {path} ({size_bytes / 1000:.0f} kB)")
            if size_bytes > LARGEST_BYTES:
                return 1
        browser.close()
    return 0


def _picture(browser: Browser, url: str, scheme: str) -> bytes:
    """Return the page as a PNG, after the samples were cut out."""
    context = browser.new_context(viewport=VIEWPORT, color_scheme=scheme)  # type: ignore[arg-type]  # two of its words
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(url)
    page.locator(".modules summary").wait_for()
    page.set_input_files("#files", [SAMPLES / "astronaut.jpg", SAMPLES / "cat.jpg"])
    page.locator(".photo[data-state=done]").nth(1).wait_for()
    page.locator(".layer.after img").wait_for()
    page.mouse.move(0, 0)
    picture = page.screenshot()
    context.close()
    return picture


def _smaller(picture: bytes) -> bytes:
    """Return the PNG, packed as tightly as it goes."""
    from PIL import Image  # noqa: PLC0415

    stream = io.BytesIO()
    Image.open(io.BytesIO(picture)).convert("RGB").save(stream, "PNG", optimize=True)
    return stream.getvalue()


if __name__ == "__main__":
    sys.exit(main())
