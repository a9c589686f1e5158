"""Install lock: processes install into one environment one at a time."""

import time
from pathlib import Path

from shared import file_lock
from tests.integration.package_index import put
from tests.integration.scratch import Gate, Scratch, install
from tests.service import wait_for

DONE = "Dependencies installed. The worker was restarted; the server kept running."


def test_an_install_waits_for_another_process_without_a_clean_up(tmp_path: Path, data_dir: Path) -> None:
    """A package that another pip is writing looks partially installed; a clean-up would delete it."""
    scratch = Scratch(tmp_path / "scratch", "tiny", "other")
    scratch.wheel("tiny")
    with scratch.service(data_dir) as service:
        with file_lock.acquire(scratch.site.parents[2] / file_lock.INSTALL_LOCK_NAME, on_wait=lambda: None):
            put(scratch.site, "other", "", torn=True)
            task_id = install(service)
            assert task_id is not None
            wait_for(lambda: "Another installation is under way" in service.task(task_id)["message"])
            began = time.monotonic()
            assert service.client.delete(f"/tasks/{task_id}").json()["code"] == "cancelled"
            assert time.monotonic() - began < 1
            waiting = install(service)
            assert waiting is not None
            wait_for(lambda: "Another installation is under way" in service.task(waiting)["message"])
            (written,) = scratch.site.glob("other-*")
            (written / "INSTALLER").write_text("pip\n")
        task = service.finished(waiting)
        assert task["message"] == DONE
        assert "Successfully installed tiny-1.0" in task["logs"], "the other process has installed other"
        assert written.exists()


def test_other_processes_wait_for_a_running_install(tmp_path: Path, data_dir: Path) -> None:
    """A second service or scripts/bootstrap.py must not install at the same time."""
    scratch = Scratch(tmp_path / "scratch", "slow")
    gate = Gate(scratch, "slow")
    with scratch.service(data_dir) as service, scratch.service(data_dir) as second:
        writing = install(service)
        wait_for(gate.reached)
        waiting = install(second)
        assert waiting is not None
        wait_for(lambda: "Another installation is under way" in second.task(waiting)["message"])
        gate.open()
        assert service.client.delete(f"/tasks/{writing}").json()["code"] == "cancelled"
        assert second.finished(waiting)["message"] == DONE
