"""Fixtures that every kind of test shares."""

import asyncio
import shutil
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from shared import file_lock
from shared.catalog import BUILTIN
from shared.gc_pause import pause_gc
from supervisor.models.onnx_files import OnnxFiles
from supervisor.tasks.task_store import TaskStore
from tests.service import OBEYS, REMEMBERS, Service, running

# How long an example takes shows how busy the machine is.
UNHURRIED = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
SAMPLES = Path(__file__).resolve().parent.parent / "scripts" / "samples"


def pytest_configure() -> None:
    """Heed Ctrl-C even in a shell's background job: what tests start, and interrupt, inherits this."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    hypothesis.settings.register_profile("unhurried", UNHURRIED)
    hypothesis.settings.load_profile("unhurried")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Import all tests without looking for garbage: there is none, and the look takes a third of the time."""
    with pause_gc():
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long tests: one that began last would have the other processes wait for it."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A data folder that holds the built-in model, fetched once for all the processes that run tests."""
    folder = tmp_path_factory.mktemp("data")
    own = tmp_path_factory.getbasetemp()
    common = own if worker_id == "master" else own.parent
    with file_lock.acquire(common / "builtin-model.lock", on_wait=lambda: None):
        asyncio.run(OnnxFiles(TaskStore(60), BUILTIN, common, ()).ensure(lambda _percent, _message: None))
    shutil.copytree(common / "models", folder / "models")
    return folder


@pytest.fixture
def start(data_dir: Path, tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start supervisors with the given settings; all are ended, and checked, after the test."""
    with ExitStack() as stack:
        count = 0

        def begin(**settings: Any) -> Service:
            nonlocal count
            count += 1
            temp_dir = settings.pop("temp_dir", tmp_path / f"temp{count}")
            models = settings.pop("data_dir", data_dir)
            return stack.enter_context(running(models, temp_dir, **settings))

        yield begin


@pytest.fixture(scope="session")
def service(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One supervisor with the real built-in model, shared by tests that leave it as it was."""
    folder = tmp_path_factory.mktemp("shared")
    with running(data_dir, folder / "temp", builtin_worker=REMEMBERS) as shared:
        yield shared


@pytest.fixture(scope="session")
def fake(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One supervisor whose worker does what the photo says, shared like `service`."""
    with running(data_dir, tmp_path_factory.mktemp("fake") / "temp", builtin_worker=OBEYS) as shared:
        yield shared


@pytest.fixture(scope="session")
def astronaut() -> bytes:
    """A photo of a person, 512 x 512, JPEG."""
    return (SAMPLES / "astronaut.jpg").read_bytes()
