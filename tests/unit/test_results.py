"""When the files of a removal are gone from the disk."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from supervisor.results import ResultStore


def test_a_file_in_use_is_deleted_by_a_later_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows one that is being downloaded cannot be deleted: a photo stayed on the disk past its time."""
    store = ResultStore(tmp_path)
    folder = store.make_folder("task")
    (folder / "photo.jpg").touch()

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "The process cannot access the file")

    with monkeypatch.context() as downloading:
        downloading.setattr(os, "unlink", refuse)
        asyncio.run(store.drop("task"))
        asyncio.run(store.drop_orphans())
    assert folder.exists()
    asyncio.run(store.drop_orphans())
    assert not folder.exists()
