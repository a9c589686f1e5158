"""The service's log, which is all that is left to its operator in the morning."""

import re
import sys
import time
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
    task_id = service.upload(wish("fail"))  # the photo's own fault
    service.finished(task_id)
    assert f"INFO supervisor.removals removal failed task_id={task_id}" in service.log


def test_a_finished_removal_is_one_line(start: Callable[..., Service], astronaut: bytes) -> None:
    """An operator asks who sent what, and where the time went."""
    service = start()
    service.cut(astronaut)
    line = logged(service, "removal finished")
    for part in ("client=", "model=builtin", "device=cpu", "photo=512x512", "format=png", "total_ms="):
        assert part in line
    assert int(re.search(r"result_bytes=(\d+)", line)[1]) > 0  # type: ignore[index]


def test_a_refusal_is_one_line_without_secrets(start: Callable[..., Service]) -> None:
    """A client says that it does not work: the log says why, but not which token it sent."""
    service = start(builtin_worker=OBEYS)
    service.client.get("/health?key=s3cret", headers={"Host": "evil.example"})
    service.client.post("/remove/upload", files={"file": ("p.png", b"x")}, data={"format": "tga"})
    refused = [line for line in service.log.splitlines() if "request refused" in line]
    assert ["error=host_refused" in refused[0], "error=invalid_option" in refused[1]] == [True, True]
    assert all('client="address 127.0.0.1"' in line for line in refused)
    assert "s3cret" not in service.log


def test_an_unload_is_named_as_the_cause(start: Callable[..., Service]) -> None:
    """Else it looks like a crash."""
    service = start(builtin_worker=OBEYS)
    service.cut(wish("fine"))
    service.client.post("/remove/unload")
    assert "unload on request" in logged(service, "process stopping")


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


def wait_until_busy(service: Service) -> None:
    """Wait until a worker runs a removal."""
    while "busy" not in [worker["state"] for worker in service.client.get("/status").json()["workers"]]:
        time.sleep(0.05)


def test_an_unload_says_what_loads_the_model_again(start: Callable[..., Service]) -> None:
    """It seemed to do nothing: the next waiting removal loaded the model at once."""
    service = start(builtin_worker=OBEYS)
    tasks = [service.upload(wish("sleep 30")) for _ in range(3)]
    wait_until_busy(service)
    answer = service.client.post("/remove/unload").json()
    assert (answer["queued"], answer["cancelled"]) == (3, 0)
    wait_until_busy(service)
    answer = service.client.post("/remove/unload?cancel_queued=true").json()
    assert (answer["queued"], answer["cancelled"]) == (0, 3)
    assert {service.finished(task)["code"] for task in tasks} == {"cancelled"}


def limit_files(pid: int) -> None:
    """Have a process's writes fail beyond some length, as on a disk that is full."""
    psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE, (100_000, psutil.RLIM_INFINITY))
