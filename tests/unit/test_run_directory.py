"""The run directory: whose is deleted, and when."""

import asyncio
import os
import time
from pathlib import Path

import psutil
import pytest

from supervisor.jobs.run_directory import RunDirectory
from supervisor.platform.private_dir import make_private_dir


def test_a_supervisor_never_takes_its_own_folder_for_a_dead_ones(tmp_path: Path) -> None:
    """Once a board without a clock has heard the time, no process has the start time that it had."""
    run = RunDirectory(tmp_path)
    run.path = tmp_path / f"run-{os.getpid()}-1000"
    waiting = make_private_dir(run.path / "bgremove_1")
    os.utime(run.path, (0, 0))
    asyncio.run(run.delete_orphans())
    assert waiting.exists()


def test_a_service_that_lives_keeps_its_folder_from_its_neighbours(tmp_path: Path) -> None:
    """Once the clock was set, and from another container, it seemed to be a dead one's: results were lost."""
    living = RunDirectory(tmp_path)
    living.path = tmp_path / f"run-{os.getpid()}-1000"
    kept = make_private_dir(living.path / "bgremove_1")
    os.utime(living.path, (0, 0))
    living.heartbeat()
    asyncio.run(RunDirectory(tmp_path).delete_orphans())
    assert kept.exists()


@pytest.mark.parametrize(("age_s", "is_kept"), [(0, True), (3590, True), (3610, False), (10**8, False)])
def test_leftovers_are_deleted_once_they_are_an_hour_old(
    tmp_path: Path, age_s: float, *, is_kept: bool
) -> None:
    """A service in another container has the folder in common, but its processes cannot be seen."""
    folder = tmp_path / "run-999999999-1"
    folder.mkdir()
    os.utime(folder, (time.time() - age_s,) * 2)
    asyncio.run(RunDirectory(tmp_path).delete_orphans())
    assert folder.exists() == is_kept


def test_a_process_id_that_was_given_to_another_process_keeps_no_leftovers(tmp_path: Path) -> None:
    """Systems use the numbers again, containers the same one at every start. The start time differs."""
    started_ms = int(psutil.Process(os.getppid()).create_time() * 1000)
    mine, others = (tmp_path / f"run-{os.getppid()}-{ms}" for ms in (started_ms, started_ms - 60_000))
    for folder in (mine, others):
        folder.mkdir()
        os.utime(folder, (0, 0))
    asyncio.run(RunDirectory(tmp_path).delete_orphans())
    assert (mine.exists(), others.exists()) == (True, False)
