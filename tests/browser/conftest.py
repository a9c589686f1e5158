"""Fixtures of the page tests: a real Chromium, services, visits to the page."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.axe import load_axe
from tests.browser.visit import TIMEOUT_MS, Visit, open_visit
from tests.hub import Hub, running_hub
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
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")  # the fastest first


def _missing(what: str) -> NoReturn:
    """Skip the test; fail it if REQUIRE_BROWSER is set, as in CI."""
    if os.environ.get("REQUIRE_BROWSER"):
        pytest.fail(f"{what}, and REQUIRE_BROWSER is set")
    pytest.skip(what)


# Package scope: while Playwright is active, this thread has a running event loop, so asyncio.run() fails.
# The fixture of the data folder calls it and has to come first.
@pytest.fixture(scope="package")
def launch(data_dir: Path) -> Iterator[Callable[..., Browser]]:
    """Return a function that starts Chromium with additional flags."""
    assert data_dir
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        _missing("no Chromium is installed")
    with sync_playwright() as playwright:
        expect.set_options(timeout=TIMEOUT_MS)
        yield lambda *flags: playwright.chromium.launch(executable_path=program, args=[*FLAGS, *flags])


@pytest.fixture(scope="package")
def browser(launch: Callable[..., Browser]) -> Iterator[Browser]:
    """One browser for all tests; each test has a browser context of its own."""
    running = launch()
    yield running
    running.close()


@pytest.fixture(scope="package")
def light(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a fast fake engine, whose alpha is the brightness, and few packages to check."""
    with Scratch(tmp_path_factory.mktemp("light")).service(
        data_dir, builtin_worker=BY_LIGHT, url_allow_private=True
    ) as service:
        yield service


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Open the page of a service; checks afterwards for errors and requests to other hosts."""
    with ExitStack() as stack:

        def open_page(url: str, expected: tuple[str, ...] = (), **context: Any) -> Visit:
            return stack.enter_context(open_visit(browser, url, expected, context))

        yield open_page


@pytest.fixture(scope="session")
def axe(request: pytest.FixtureRequest) -> str:
    """The source of axe-core, which finds accessibility violations."""
    if shutil.which("npm") is None:
        _missing("npm, which downloads axe-core, is not installed")
    return load_axe(Path(request.config.cache.mkdir("axe-core")))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A fake model hub, and environment variables that point to it."""
    for name in list(os.environ):
        if name.startswith("HF_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    with running_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
        yield hub


@contextmanager
def service_of(folder: Path, worker: str = "loads_slowly", **more: object) -> Iterator[Service]:
    """Run a service without model, with a fake worker and without packages to check."""
    settings = {"birefnet_worker": f"tests.fake_workers.behaviours:{worker}", **more}
    with Scratch(folder / "scratch").service(folder / "data", **settings) as service:
        yield service
