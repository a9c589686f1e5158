"""The service's log, which is all that is left to its operator in the morning."""

import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.photos import wish
from tests.service import OBEYS, Service

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="POSIX signals, and prlimit is Linux's")


def logged(service: Service, message: str) -> str:
    """Return the one line of the log with that message."""
    (line,) = [line for line in service.log.splitlines() if message in line]
    return line


def test_a_death_and_what_it_cost_are_logged_with_their_cause(
    start: Callable[..., Service], tmp_path: Path
) -> None:
    """Only the state was logged: why workers had died at night, nobody could tell but for the last one."""
    service = start(builtin_worker=OBEYS)
    service.cut(wish(f"crash-once {tmp_path / 'crashed'}"))
    died = logged(service, "worker died")
    assert "code=-11 reason=worker_crashed" in died
    assert "Segmentation fault" in died
    assert "removal failed" not in service.log
    task_id = service.upload(wish("exit 3"))
    service.finished(task_id)
    assert f"task_id={task_id} error=worker_crashed" in logged(service, "removal failed")
    service.finished(service.upload(wish("fail")))  # the photo's own fault is no line in the log
    assert logged(service, "removal failed")


def test_a_full_disk_is_logged_with_the_systems_own_words(start: Callable[..., Service]) -> None:
    """Every photo was refused, and the log had nothing."""
    service = start(builtin_worker=OBEYS)
    limit_files(service.process.pid)
    service.client.post("/remove/upload", files={"file": ("p.png", wish("x" * 2_000_000))})
    assert "File too large" in logged(service, "storage failed")


def test_a_result_that_cannot_be_written_is_logged_too(
    start: Callable[..., Service], astronaut: bytes
) -> None:
    """The worker knew why, and took it along when it ended."""
    service = start()
    service.cut(astronaut)
    limit_files(service.worker()["pid"])
    task = service.finished(service.upload(astronaut))
    assert task["code"] == "storage_failed"
    assert "File too large" in logged(service, "removal failed in worker")
    assert logged(service, f"removal failed task_id={task['task_id']} error=storage_failed")


def limit_files(pid: int) -> None:
    """Have a process's writes fail beyond some length, as on a disk that is full."""
    psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE, (100_000, psutil.RLIM_INFINITY))
