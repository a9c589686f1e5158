"""A full disk at each write of a job: the client gets the error, and no partial file stays."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.photos import wish
from tests.service import OBEYS, Service, running, wait_for

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.geteuid() != 0 or shutil.which("mount") is None,
    reason="only root can mount a small disk",
)
DISK_BYTES = 4 * 1024**2
PHOTO = wish("x" * 300_000)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("cannot mount")
    yield folder
    subprocess.run([str(shutil.which("umount")), "-l", folder], check=True)


def fill(disk: Path, free_bytes: int) -> Path:
    """Fill the disk but for so many bytes."""
    ballast = disk / "ballast"
    usage = os.statvfs(disk)
    ballast.write_bytes(bytes(max(0, usage.f_bavail * usage.f_frsize - free_bytes)))
    return ballast


@pytest.fixture
def service(data_dir: Path, tmp_path: Path, disk: Path) -> Iterator[Service]:
    """A service whose spool is on the small disk."""
    with running(data_dir, tmp_path / "temp", builtin_worker=OBEYS, spool_dir=disk / "spool") as service:
        yield service


def job_folders(service: Service) -> list[Path]:
    """Return the folders of jobs, half deleted ones too."""
    return list(service.spool_dir.glob("*/bgremove_*"))


# A photo takes 300 kB; each of the records a page of 4 kB, and so does each folder's entry or marker.
@pytest.mark.parametrize("free_bytes", [0, 4096, 100_000, 300_000, *range(304_000, 345_000, 4096)])
def test_a_full_disk_is_told_and_leaves_nothing_half(service: Service, disk: Path, free_bytes: int) -> None:
    """While the upload, its record, the mark of its attempt, the result, or the end is written."""
    ballast = fill(disk, free_bytes)
    answer = service.client.post("/remove/upload", files={"file": ("a.png", PHOTO)})
    if answer.status_code == 200:
        task = service.finished(answer.json()["task_id"])
        assert task["status"] == "complete" or task["code"] in ("storage_failed", "worker_crashed"), task
        ended = True
    else:
        assert (answer.status_code, answer.json()["code"]) == (507, "storage_failed")
        ended = False
    ballast.unlink()
    if not ended:
        wait_for(lambda: not job_folders(service))
    assert service.cut(PHOTO) == PHOTO


@pytest.mark.parametrize("free_bytes", [308_000, 320_000, 330_000, 340_000])
def test_after_a_full_disk_and_a_crash_each_id_is_answered_for(
    data_dir: Path, tmp_path: Path, disk: Path, free_bytes: int
) -> None:
    """An end that could not be recorded is repeated by the next start."""
    settings: dict[str, Any] = {"builtin_worker": OBEYS, "spool_dir": disk / "spool"}
    service = Service(data_dir, tmp_path / "temp", settings)
    ballast = fill(disk, free_bytes)
    answer = service.client.post("/remove/upload", files={"file": ("a.png", PHOTO)})
    if answer.status_code == 200:
        service.finished(answer.json()["task_id"])
    service.process.kill()
    service.process.wait()
    service.client.close()
    service._close()
    ballast.unlink()
    with running(data_dir, tmp_path / "temp", **settings) as again:
        if answer.status_code == 200:
            again.finished(answer.json()["task_id"])
        assert again.cut(PHOTO) == PHOTO
        assert not list(again.spool_dir.glob("*/*.deleted"))
