"""Installs from inside the running service, with a real pip and generated packages."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.integration.package_index import FAILING_BACKEND, add_source, put
from tests.integration.scratch import Gate, Scratch, install, installed, problem_of, status
from tests.photos import wish
from tests.service import Service, still_alive, wait_for

DONE = "Dependencies installed. The worker was restarted; the server kept running."
BREAKS = 'raise RuntimeError("operator torchvision::nms does not exist")\n'
Make = Callable[..., Scratch]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make a temporary environment that requires the given packages."""
    return lambda *names, **more: Scratch(tmp_path / "scratch", *names, **more)


def pip_processes(service: Service) -> list[psutil.Process]:
    """Return the processes of an install: process guards, pip, and its build processes."""
    guards = [process for process in service.descendants() if "shared.process_guard" in process.cmdline()]
    return [process for guard in guards for process in (guard, *guard.children(recursive=True))]


def wait_for_worker(service: Service, generation: int) -> None:
    """Wait until the worker that was stopped for an install is loaded again."""
    wait_for(lambda: service.worker()["state"] == "ready")
    assert service.worker()["generation"] == generation


def test_missing_packages_are_installed_while_the_server_runs(make: Make, data_dir: Path) -> None:
    """One button, and no restart by hand."""
    scratch = make("tiny", "needy")
    scratch.wheel("tiny")
    scratch.wheel("needy", "1.0", "tiny")
    with scratch.service(data_dir) as service:
        service.cut(wish())
        before = status(service)
        assert (before["ready"], before["installed"], before["missing"]) == (False, False, ["tiny", "needy"])
        task_id = install(service)
        assert task_id is not None
        assert task_id.startswith("envinstall_")
        with service.client.stream("GET", f"/env/install/stream/{task_id}") as response:
            events = [
                (time.monotonic(), json.loads(line[6:]))
                for line in response.iter_lines()
                if line.startswith("data: ")
            ]
        last = events[-1][1]
        assert (last["status"], last["message"], last["percent"]) == ("complete", DONE, 100)
        assert any(line.startswith("Successfully installed") for line in last["logs"])
        times = [moment for moment, _ in events[:-1]]  # the last event is sent without delay
        assert all(later - earlier > 0.45 for earlier, later in pairwise(times))
        after = status(service)
        assert (after["ready"], after["installed"], after["missing"]) == (True, True, [])
        assert after["task_id"] is None
        assert [row["version"] for row in after["modules"]] == ["1.0", "1.0"]
        assert install(service) is None
        wait_for_worker(service, generation=2)
        assert service.client.get("/status").json()["server"]["pid"] == service.process.pid


def test_a_broken_package_is_reinstalled(make: Make, data_dir: Path) -> None:
    """pip alone would consider it installed."""
    scratch = make("tiny")
    put(scratch.site, "tiny", 'raise ImportError("libtiny.so: file too short")\n')
    scratch.wheel("tiny")
    with scratch.service(data_dir) as service:
        assert (
            problem_of(service, "tiny")
            == "tiny cannot be imported (ImportError: libtiny.so: file too short); reinstall it."
        )
        assert status(service)["ready"] is False
        assert installed(service)["message"] == DONE
        assert status(service)["ready"] is True
        assert problem_of(service, "tiny") is None


def test_a_partially_installed_package_is_reinstalled(make: Make, data_dir: Path) -> None:
    """Its metadata makes pip consider it installed; without RECORD, pip cannot remove it."""
    scratch = make("tiny")
    put(scratch.site, "tiny", "", torn=True)
    scratch.wheel("tiny", body="whole = True\n")
    with scratch.service(data_dir) as service:
        assert installed(service)["message"] == DONE
        assert "whole" in (scratch.site / "tiny.py").read_text()


def test_a_failed_build_reports_pips_error_and_can_be_retried(make: Make, data_dir: Path) -> None:
    """The user has to install a missing compiler, and needs the reason."""
    scratch = make("tiny")
    add_source(scratch.index, "tiny", FAILING_BACKEND)
    with scratch.service(data_dir) as service:
        service.cut(wish())
        task = installed(service)
        assert (task["status"], task["code"]) == ("error", "install_failed")
        assert task["message"].startswith("The packages could not be installed: ")
        assert any("no compiler here" in line for line in task["logs"])
        wait_for_worker(service, generation=2)
        assert status(service)["missing"] == ["tiny"]
        (scratch.index / "tiny-1.0.tar.gz").unlink()
        scratch.wheel("tiny", body='raise RuntimeError("wrong kind of processor")\n')
        task = installed(service)
        assert task["code"] == "install_failed", "pip succeeded, but the package cannot be imported"
        assert "wrong kind of processor" in task["message"]


def test_packages_loaded_by_the_supervisor_are_never_replaced(make: Make, data_dir: Path) -> None:
    """Its next import of such a package would fail."""
    scratch = make("easy", constraints="anyio==99.0\n")
    scratch.wheel("anyio", "99.0")
    scratch.wheel("easy", "1.0", "anyio")
    scratch.wheel("clash", "1.0", "anyio>=99")
    with scratch.service(data_dir) as service:
        assert installed(service)["message"] == DONE, "loaded packages win over the constraints file"
        scratch.want("easy", "clash")
        task = installed(service)
        assert task["code"] == "install_failed"
        assert "conflicting dependencies" in task["message"]
        assert service.client.get("/health").status_code == 200
    assert not list(scratch.site.glob("anyio*"))


def test_an_install_is_shared_cancelled_within_two_seconds_and_retried(make: Make, data_dir: Path) -> None:
    """Users cancel a download of gigabytes on a slow connection."""
    scratch = make("slow")
    gate = Gate(scratch, "slow")
    with scratch.service(data_dir) as service:
        service.cut(wish())
        task_id = install(service)
        wait_for(gate.reached)
        assert install(service) == status(service)["task_id"] == task_id
        processes = pip_processes(service)
        assert len(processes) >= 4, "the process guard, pip, the build, and its child"
        waiting = service.upload(wish())
        began = time.monotonic()
        assert service.client.delete(f"/tasks/{task_id}").json()["code"] == "cancelled"
        assert time.monotonic() - began < 2
        assert not still_alive(processes, timeout_s=1)
        assert service.finished(waiting)["status"] == "complete"
        assert not list(scratch.temp.glob("*/pip/*"))
        gate.open()
        assert installed(service)["message"] == DONE


def test_a_shutdown_cancels_an_install(make: Make, data_dir: Path) -> None:
    """pip must not go on without the service."""
    scratch = make("slow")
    gate = Gate(scratch, "slow")
    with scratch.service(data_dir) as service:
        install(service)
        wait_for(gate.reached)
        # `end` checks that every process ends, and in time.


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_a_killed_supervisor_leaves_no_pip_running(make: Make, data_dir: Path) -> None:
    """Its next start would install at the same time."""
    scratch = make("slow")
    gate = Gate(scratch, "slow")
    with scratch.service(data_dir) as service:
        install(service)
        wait_for(gate.reached)
        processes = pip_processes(service)
        os.kill(service.process.pid, signal.SIGKILL)
        assert not still_alive(processes, timeout_s=1)


def test_a_mismatched_torch_pair_is_reported_and_reinstalled(make: Make, data_dir: Path) -> None:
    """torchvision and torch from different indexes: the import fails with an unclear message."""
    scratch = make("torch", "torchvision")
    put(scratch.site, "torch", "", "2.0")
    put(scratch.site, "torchvision", BREAKS, "0.15")
    scratch.wheel("torch", "2.0")
    scratch.wheel("torchvision", "0.15")
    with scratch.service(data_dir) as service:
        assert problem_of(service, "torchvision") == (
            "torchvision 0.15 does not match torch 2.0: its compiled operators are missing; reinstall both."
        )
        task = installed(service)
        assert task["message"] == DONE
        assert any("pip's default package index" in line for line in task["logs"])
        assert any("Uninstalling torch-2.0" in line for line in task["logs"])
        assert status(service)["ready"] is True


def test_a_shutdown_cancels_an_import_probe(make: Make, data_dir: Path) -> None:
    """The first probe takes seconds; clients waiting for it get an error, and no process is left."""
    scratch = make("tiny")
    put(scratch.site, "tiny", "import time; time.sleep(30)")
    with scratch.service(data_dir) as service, ThreadPoolExecutor() as pool:
        asked = pool.submit(service.client.get, "/env/status")
        wait_for(lambda: any("shared.probe" in process.cmdline() for process in service.descendants()))
        os.kill(service.process.pid, signal.SIGTERM)
        assert asked.result().json()["code"] == "stopping"
        assert service.wait() == 0


def test_packages_installed_or_removed_by_hand_are_noticed(make: Make, data_dir: Path) -> None:
    """The status compares the packages on disk for every request."""
    scratch = make("tiny")

    def row_of(service: Service) -> tuple[Any, ...]:
        (row,) = status(service)["modules"]
        return row["installed"], row["version"], row["problem"], status(service)["ready"]

    with scratch.service(data_dir) as service:
        assert row_of(service) == (False, None, None, False)
        put(scratch.site, "tiny", "")
        assert row_of(service) == (True, "1.0", None, True)
        (scratch.site / "tiny.py").unlink()
        assert row_of(service) == (False, "1.0", None, False)
