"""The folders of removals: whose are deleted, and when."""

import asyncio
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from shared.messages import RemovalResult
from shared.options import RemovalOptions
from supervisor.jobs.job import Job, StoredImage
from supervisor.jobs.spool import Spool
from supervisor.platform.private_dir import make_private_dir


def test_a_supervisor_never_takes_its_own_folder_for_a_dead_ones(tmp_path: Path) -> None:
    """Once a board without a clock has heard the time, no process has the start time that it had."""
    results = Spool(tmp_path, 60)
    results.folder = tmp_path / f"run-{os.getpid()}-1000"
    waiting = make_private_dir(results.path("bgremove_1", "source").parent)
    os.utime(results.folder, (0, 0))
    asyncio.run(results.delete_orphans())
    assert waiting.exists()


def test_a_service_that_lives_keeps_its_folder_from_its_neighbours(tmp_path: Path) -> None:
    """Once the clock was set, and from another container, it seemed to be a dead one's: results were lost."""
    living = Spool(tmp_path, 60)
    living.folder = tmp_path / f"run-{os.getpid()}-1000"
    kept = make_private_dir(living.path("bgremove_1", "source").parent)
    os.utime(living.folder, (0, 0))
    living.heartbeat()
    asyncio.run(Spool(tmp_path, 60).delete_orphans())
    assert kept.exists()


def test_a_file_in_use_is_deleted_by_a_later_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows one that is being downloaded cannot be deleted: a photo stayed on the disk past its time."""
    store = Spool(tmp_path, 60)
    folder = make_private_dir(store.path("task", "source").parent)
    (folder / "photo.jpg").touch()

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "The process cannot access the file")

    with monkeypatch.context() as downloading:
        downloading.setattr(os, "unlink", refuse)
        asyncio.run(store.delete("task"))
        asyncio.run(store.delete_orphans())
    assert folder.exists()
    asyncio.run(store.delete_orphans())
    assert not folder.exists()


@pytest.mark.parametrize(("age_s", "is_kept"), [(0, True), (3590, True), (3610, False), (10**8, False)])
def test_leftovers_are_deleted_once_they_are_an_hour_old(
    tmp_path: Path, age_s: float, *, is_kept: bool
) -> None:
    """A service in another container has the folder in common, but its processes cannot be seen."""
    folder = tmp_path / "run-999999999-1"
    folder.mkdir()
    os.utime(folder, (time.time() - age_s,) * 2)
    asyncio.run(Spool(tmp_path, 60).delete_orphans())
    assert folder.exists() == is_kept


def test_a_process_id_that_was_given_to_another_process_keeps_no_leftovers(tmp_path: Path) -> None:
    """Systems use the numbers again, containers the same one at every start. The start time differs."""
    started_ms = int(psutil.Process(os.getppid()).create_time() * 1000)
    mine, others = (tmp_path / f"run-{os.getppid()}-{ms}" for ms in (started_ms, started_ms - 60_000))
    for folder in (mine, others):
        folder.mkdir()
        os.utime(folder, (0, 0))
    asyncio.run(Spool(tmp_path, 60).delete_orphans())
    assert (mine.exists(), others.exists()) == (True, False)


def test_warnings_reach_clients_as_a_list(tmp_path: Path) -> None:
    """As JSON has no tuples."""
    whole = (0, 0, 1, 1)
    warnings = ("One frame.",)
    made = RemovalResult(
        *(1, 1, "png", "fake", "cpu", {}),
        subject=True,
        coverage=1.0,
        box=whole,
        frame=whole,
        warnings=warnings,
    )
    job = Job(
        id="bgremove_1",
        options=RemovalOptions(),
        image=StoredImage("source"),
        background=None,
        file_name="photo.png",
        client="one",
        submitted_at=datetime.now(UTC),
    )

    async def finish() -> Any:
        spool = Spool(tmp_path, 60)
        await spool.accept(job, {"source": Path.touch})
        return await spool.finish(job, made, {})

    assert asyncio.run(finish())["warnings"] == ["One frame."]
