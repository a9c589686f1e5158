"""The folders of removals: whose are deleted, and when."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from supervisor.jobs.spool import Spool


def test_a_supervisor_never_takes_its_own_folder_for_a_dead_ones(tmp_path: Path) -> None:
    """Once a board without a clock has heard the time, no process has the start time that it had."""
    results = Spool(tmp_path)
    results.folder = tmp_path / f"run-{os.getpid()}-1000"
    waiting = results.make_folder("bgremove_1")
    os.utime(results.folder, (0, 0))
    asyncio.run(results.drop_orphans())
    assert waiting.exists()


def test_a_service_that_lives_keeps_its_folder_from_its_neighbours(tmp_path: Path) -> None:
    """Once the clock was set, and from another container, it seemed to be a dead one's: results were lost."""
    living = Spool(tmp_path)
    living.folder = tmp_path / f"run-{os.getpid()}-1000"
    kept = living.make_folder("bgremove_1")
    os.utime(living.folder, (0, 0))
    living.show_life()
    asyncio.run(Spool(tmp_path).drop_orphans())
    assert kept.exists()


def test_a_file_in_use_is_deleted_by_a_later_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows one that is being downloaded cannot be deleted: a photo stayed on the disk past its time."""
    store = Spool(tmp_path)
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


def test_leftovers_are_deleted_once_they_are_old(tmp_path: Path) -> None:
    """A service in another container has the folder in common, but its processes cannot be seen."""
    fresh, old = tmp_path / "run-999999999-1", tmp_path / "run-999999999-2"
    for folder in (fresh, old):
        folder.mkdir()
    os.utime(old, (0, 0))
    asyncio.run(Spool(tmp_path).drop_orphans())
    assert (fresh.exists(), old.exists()) == (True, False)
