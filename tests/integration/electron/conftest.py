"""Fixture that starts applications with a managed service."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from tests.integration.electron.application import MODULE, App


@pytest.fixture
def app(data_dir: Path, tmp_path: Path) -> Iterator[Callable[..., App]]:
    """Return a function that starts applications; all are ended after the test."""
    with ExitStack() as stack:

        def begin(*flags: str, port: int = 0, script: str = "", **settings: Any) -> App:
            run = (str(MODULE), "run", "--python", sys.executable, "--port", str(port), *flags)
            arguments = ("--input-type=module", "--eval", script) if script else run
            return stack.enter_context(closing(App(tmp_path, data_dir, arguments, **settings)))

        yield begin
