"""A real Chromium for the tests of the page."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.axe import fetched_axe
from tests.browser.visit import PATIENCE_MS, Visit, visiting
from tests.integration.scratch import Scratch
from tests.service import Service

FLAGS = (
    "--no-sandbox",  # tests run as root in containers
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
BY_LIGHT = "tests.fake_workers.by_light:serve"
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")  # the quickest first


def _missing(what: str) -> NoReturn:
    """Skip the test, or fail it where the whole suite is wanted, as in CI."""
    if os.environ.get("REQUIRE_BROWSER"):
        pytest.fail(f"{what}, and REQUIRE_BROWSER is set")
    pytest.skip(what)


# Of the package, not of the session: while Playwright runs, this thread has an event loop that runs, and
# asyncio.run() fails. The data folder's fixture calls it, and so comes first.
@pytest.fixture(scope="package")
def launch(data_dir: Path) -> Iterator[Callable[..., Browser]]:
    """Start a Chromium, with further flags."""
    assert data_dir
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        _missing("no Chromium is installed")
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE_MS)
        yield lambda *flags: playwright.chromium.launch(executable_path=program, args=[*FLAGS, *flags])


@pytest.fixture(scope="package")
def browser(launch: Callable[..., Browser]) -> Iterator[Browser]:
    """One browser for the tests of the page; each has a context of its own."""
    running = launch()
    yield running
    running.close()


@pytest.fixture(scope="package")
def light(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that removes what is dark, at once, and whose environment is quick to look at."""
    with Scratch(tmp_path_factory.mktemp("light")).service(
        data_dir, builtin_worker=BY_LIGHT, url_allow_private=True
    ) as service:
        yield service


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Open the page of a service, and check afterwards that it made no error and called nobody else."""
    with ExitStack() as stack:

        def open_page(url: str, expected: tuple[str, ...] = (), **context: Any) -> Visit:
            return stack.enter_context(visiting(browser, url, expected, context))

        yield open_page


@pytest.fixture(scope="session")
def axe(request: pytest.FixtureRequest) -> str:
    """The source of axe-core, which finds what gets in the way of people with disabilities."""
    if shutil.which("npm") is None:
        _missing("npm, which brings axe-core, is not installed")
    return fetched_axe(Path(request.config.cache.mkdir("axe-core")))
