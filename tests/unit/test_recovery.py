"""Reading a spool: what is queued again, what has ended, what is deleted or moved aside."""

import asyncio
import json
import os
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.errors import DamagedImage, WorkerDied
from shared.options import RemovalOptions
from supervisor.jobs import records
from supervisor.jobs.job import BACKGROUND, SOURCE, Job, StoredImage
from supervisor.jobs.records import EndedRecord, ErrorRecord
from supervisor.jobs.recovery import read_spool
from supervisor.jobs.spool import Spool
from supervisor.tasks.task import TaskKind, new_task_id
from supervisor.tasks.task_store import TaskStore

JOB = Job(
    id="",
    options=RemovalOptions(),
    image=StoredImage(SOURCE),
    background=None,
    file_name="photo.png",
    client="one",
    submitted_at=datetime.now(UTC),
)


def accept(folder: Path, number: int) -> Path:
    """Write an accepted job, and return its folder."""
    job = replace(JOB, id=new_task_id(TaskKind.REMOVE))
    (folder / job.id).mkdir()
    (folder / job.id / SOURCE).write_bytes(b"photo")
    records.write_accepted(folder / job.id, job, number)
    return folder / job.id


def end(folder: Path, **changes: Any) -> None:
    """Write that the job of a folder failed."""
    record = EndedRecord(
        format=records.FORMAT,
        expires_at=time.time() + 60,
        logs=[],
        result=None,
        files=[],
        error=ErrorRecord(code="damaged_image", detail="It is."),
    )
    records.write_ended(folder, {**record, **changes})  # type: ignore[typeddict-item]


def test_jobs_come_in_the_order_of_acceptance(tmp_path: Path) -> None:
    """Neither in that of their ids, which a clock that was set back mixes up, nor of the file system."""
    folders = [accept(tmp_path, number) for number in (3, 11, 2)]
    read = read_spool(tmp_path)
    assert [each.job.id for each in read] == [folders[place].name for place in (2, 0, 1)]
    assert [each.number for each in read] == [2, 3, 11]


def test_attempts_are_counted_and_make_a_job_exclusive(tmp_path: Path) -> None:
    """It may be the photo that ended the service: no other one may run with it."""
    folder = accept(tmp_path, 1)
    records.mark_attempt(folder, 1)
    (read,) = read_spool(tmp_path)
    assert (read.attempts, read.job.attempt, read.job.exclusive) == (1, 1, True)
    records.unmark_attempt(folder, 1)
    (read,) = read_spool(tmp_path)
    assert (read.attempts, read.job.attempt, read.job.exclusive) == (0, 0, False)


def test_an_ended_job_has_its_error_until_it_expires(tmp_path: Path) -> None:
    """Then its folder is deleted."""
    folder = accept(tmp_path, 1)
    end(folder)
    (read,) = read_spool(tmp_path)
    assert read.ended is not None
    failure = records.failure_of(read.ended)
    assert isinstance(failure, DamagedImage)
    assert failure.detail == "It is."
    end(folder, expires_at=time.time() - 1)
    assert read_spool(tmp_path) == []
    assert not folder.exists()


def test_a_result_that_the_disk_lost_is_made_again(tmp_path: Path) -> None:
    """The record promises a file that is not there."""
    folder = accept(tmp_path, 1)
    job_id = folder.name
    whole = {"width": 1, "height": 1, "format": "png", "subject": True, "coverage": 1.0, "box": None}
    result = {
        **whole,
        "task_id": job_id,
        "status": "complete",
        **dict.fromkeys(("original_file_id", "original_url", "result_file_id", "result_url"), "x"),
        "frame": (0, 0, 1, 1),
        "photo_width": 1,
        "photo_height": 1,
        "scale_factor": 1.0,
        "warnings": [],
        "model_id": "m",
        "device": "cpu",
        "timings_ms": {},
        "expires_at": time.time() + 60,
    }
    end(folder, result=result, error=None)
    (read,) = read_spool(tmp_path)
    assert read.ended is None
    (folder / "result").touch()
    (read,) = read_spool(tmp_path)
    assert read.ended is not None


@pytest.mark.parametrize("name", ["incoming", "bgremove_1.deleted", "bgremove_1"])
def test_folders_without_a_job_are_deleted(tmp_path: Path, name: str) -> None:
    """Half an upload, or half a deletion; the second has a record, but not under its own name."""
    folder = accept(tmp_path, 1)
    folder.rename(tmp_path / name)
    if name != "bgremove_1.deleted":
        (tmp_path / name / "job.json").unlink()
    assert read_spool(tmp_path) == []
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["job.json", "end.json"])
@pytest.mark.parametrize("change", [{"format": 2}, {"format": "new"}, None])
def test_what_another_version_wrote_is_moved_aside(
    tmp_path: Path, name: str, change: dict[str, Any] | None
) -> None:
    """Whole, and the others are read."""
    folder, other = accept(tmp_path, 1), accept(tmp_path, 2)
    end(folder)
    record = folder / name
    record.write_text("{" if change is None else json.dumps({**json.loads(record.read_text()), **change}))
    assert [each.job.id for each in read_spool(tmp_path)] == [other.name]
    assert (tmp_path / "unreadable" / folder.name / SOURCE).read_bytes() == b"photo"
    assert len(read_spool(tmp_path)) == 1, "it stays there"


def test_a_record_with_fields_of_a_later_version_is_read(tmp_path: Path) -> None:
    """Within one format, options and fields may come and go; those that are missing have their defaults."""
    record = accept(tmp_path, 1) / "job.json"
    written = json.loads(record.read_text())
    written["job"]["options"] = {"quality": 7, "sharpness": 3}
    written["job"]["later"] = 1
    record.write_text(json.dumps(written))
    (read,) = read_spool(tmp_path)
    assert read.job.options == RemovalOptions(quality=7)


@pytest.mark.parametrize(
    ("remaining_s", "kept_s"),
    [(30, 30), (0, 0), (-5, 0), (1e9, 60)],
    ids=["", "due", "past", "clock set back"],
)
def test_a_task_expires_when_it_was_promised(
    monkeypatch: pytest.MonkeyPatch, remaining_s: float, kept_s: float
) -> None:
    """A clock that was set back keeps it for the retention, and no longer."""
    tasks, now = TaskStore(60), time.monotonic()
    task = tasks.create(TaskKind.REMOVE)
    task.fail(WorkerDied())
    tasks.set_expiry(task, remaining_s)
    monkeypatch.setattr(time, "monotonic", lambda: now + kept_s - 0.5)
    assert tasks.expired() == []
    monkeypatch.setattr(time, "monotonic", lambda: now + kept_s + 0.5)
    assert tasks.expired() == [task]


@pytest.mark.parametrize("content", [b"", b"\0" * 512])
def test_a_record_torn_by_a_loss_of_power_is_absent(tmp_path: Path, content: bytes) -> None:
    """File systems leave such files: no client was notified of the record, which was never synced."""
    folder, other = accept(tmp_path, 1), accept(tmp_path, 2)
    (folder / "end.json").write_bytes(content)
    (other / "job.json").write_bytes(content)
    (read,) = read_spool(tmp_path)
    assert (read.number, read.ended) == (1, None)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the paths of what is synced to the disk."""
    paths = set()
    fsync = os.fsync

    def note_fsync(descriptor: int) -> None:
        paths.add(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: PTH115
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note_fsync)
    return paths


def test_what_clients_are_told_of_is_on_the_disk(tmp_path: Path, synced: set[str]) -> None:
    """Files, and the folders that name them."""
    job = replace(JOB, id=new_task_id(TaskKind.REMOVE))
    spool = Spool(tmp_path, 60, durable=True)

    async def scenario() -> None:
        await spool.accept(job, {SOURCE: Path.touch})
        await spool.sync_accepted(job, [SOURCE])
        folder = tmp_path / job.id
        assert synced == {str(path) for path in (tmp_path, folder, folder / SOURCE, folder / "job.json")}
        synced.clear()
        await spool.fail(job, DamagedImage(), [])
        assert synced == {str(folder), str(folder / "end.json")}

    asyncio.run(scenario())


def test_fetched_images_are_on_the_disk_before_the_record_names_them(
    tmp_path: Path, synced: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a loss of power would leave a job that waits, with an empty image."""
    job = replace(JOB, id=new_task_id(TaskKind.REMOVE), background=StoredImage(BACKGROUND))
    folder, spool = tmp_path / job.id, Spool(tmp_path, 60, durable=True)
    write_accepted = records.write_accepted
    synced_before: set[str] = set()

    def note_before(*arguments: Any) -> None:
        synced_before.update(synced)
        write_accepted(*arguments)

    async def scenario() -> None:
        await spool.accept(job, {SOURCE: Path.touch, BACKGROUND: Path.touch})
        monkeypatch.setattr(records, "write_accepted", note_before)
        await spool.update(job)

    asyncio.run(scenario())
    assert synced_before == {str(folder / SOURCE), str(folder / BACKGROUND)}
