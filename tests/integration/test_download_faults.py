"""What the supervisor makes of a download's process that misbehaves."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from shared.catalog import find_model
from shared.errors import DownloadFailed, ModelUnusable, Stopping
from supervisor.models.hub_files import HubFiles
from supervisor.models.store import ModelStore, import_folder
from supervisor.tasks.task_store import TaskStore
from supervisor.workers import download_process
from tests.hub import WEIGHTS, weights

BEHAVIOURS = "tests.fake_workers.downloads"
SPEC = find_model("BiRefNet")


def ignore(_percent: float, _message: str) -> None:
    """Follow nothing."""


def make(tmp_path: Path, model: str = "BiRefNet") -> HubFiles:
    """Return downloads into an empty data folder. On a running loop."""
    store = ModelStore(tmp_path / "data", find_model(model), "main", "native")
    return HubFiles(TaskStore(60), store, tmp_path / "logs")


def do(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine, in bounded time."""
    asyncio.run(asyncio.wait_for(coroutine, 30))


@pytest.mark.parametrize(
    ("behaviour", "sentence"),
    [
        ("crashes", "ended with code 3: no more file handles"),
        ("falls_silent", "sent no progress for 1 s"),
        ("claims", "were changed"),
        ("is_not_there", "has no attribute 'is_not_there'"),
    ],
)
def test_whatever_the_process_does_the_waiter_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behaviour: str, sentence: str
) -> None:
    """A load that waits for its download must never wait in vain, nor load what is not there."""
    monkeypatch.setattr(download_process, "ENTRY", f"{BEHAVIOURS}:{behaviour}")
    monkeypatch.setattr(download_process, "SILENCE_TIMEOUT_S", 20.0 if behaviour != "falls_silent" else 1.0)

    async def act() -> None:
        one = make(tmp_path)
        with pytest.raises(DownloadFailed, match=sentence):
            await one.ensure(ignore)
        assert one.current is None
        assert one.error is None if behaviour == "claims" else sentence in (one.error or "")
        assert not list((tmp_path / "logs").iterdir())

    do(act())


def test_who_waits_for_a_model_that_is_there_does_not_wait(tmp_path: Path) -> None:
    """No process is started for nothing."""
    source = tmp_path / "source"
    source.mkdir()
    (source / WEIGHTS).write_bytes(weights(1000))
    import_folder(source, tmp_path / "data", SPEC, "main", ignore)

    async def act() -> None:
        one = make(tmp_path)
        assert await one.start() is None
        await one.ensure(ignore)
        assert one.current is None

    do(act())


def test_a_folder_without_weights_and_a_closing_service_start_nothing(tmp_path: Path) -> None:
    """There is nothing to download, or nobody to download for."""

    async def act() -> None:
        with pytest.raises(ModelUnusable):
            await make(tmp_path, str(tmp_path)).start()
        one = make(tmp_path)
        task = await one.start()
        assert task is not None
        await one.close()
        assert (task.code, one.error, one.current) == ("cancelled", None, None)
        with pytest.raises(Stopping):
            await one.start()

    do(act())
