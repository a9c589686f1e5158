"""A durable spool whose disk is full, damaged, shared, or whose clients repeat themselves."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.errors import DamagedImage, Expired, NotFound
from shared.messages import RemovalResult
from supervisor.jobs import records
from supervisor.jobs.idempotency import IdempotencyKeys
from supervisor.jobs.job import RESULT, SOURCE, IdempotencyKey, Job
from supervisor.jobs.records import EndedRecord
from supervisor.jobs.recovery import UNREADABLE, read_spool
from supervisor.jobs.spool import Spool
from supervisor.jobs.spool_claim import LOCK, claim_spool_folder
from supervisor.tasks.task import TaskKind, new_task_id
from supervisor.tasks.task_store import TaskStore
from tests.unit.test_recovery import JOB, accept, end

WHOLE = (0, 0, 1, 1)
MADE = RemovalResult(
    1, 1, "png", "fake", "cpu", {}, subject=True, coverage=1.0, box=WHOLE, frame=WHOLE, warnings=()
)


def with_job(folder: Path, scenario: Callable[[Spool, Job], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario with a durable spool that has accepted one job."""

    async def whole() -> None:
        spool = Spool(folder, 60, durable=True)
        job = replace(JOB, id=new_task_id(TaskKind.REMOVE))
        await spool.accept(job, {SOURCE: Path.touch})
        await scenario(spool, job)

    asyncio.run(whole())


async def finish(spool: Spool, job: Job) -> None:
    """Let a job succeed."""
    spool.path(job.id, RESULT).write_bytes(b"cutout")
    await spool.finish(job, MADE, {}, [])


def count(folder: Path, name: str) -> int:
    """Return how many files of that name are below a folder."""
    return len(list(folder.rglob(name)))


def limit_space(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let ends be recorded only once no image takes the space of the disk."""
    write = records.write_ended

    def refuse(job_folder: Path, record: EndedRecord) -> None:
        if count(folder, SOURCE):
            raise OSError(28, "No space left on device")
        write(job_folder, record)

    monkeypatch.setattr(records, "write_ended", refuse)


def test_a_failure_on_a_full_disk_is_recorded_in_the_space_of_its_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a record the job would end again, otherwise, after the restart: its image is gone."""
    limit_space(monkeypatch, tmp_path)

    async def scenario(spool: Spool, job: Job) -> None:
        await spool.fail(job, DamagedImage(), ["a line"])
        (read,) = read_spool(tmp_path)
        assert read.ended is not None
        assert isinstance(records.failure_of(read.ended), DamagedImage)
        assert read.ended["logs"] == ["a line"]

    with_job(tmp_path, scenario)


def test_results_can_be_deleted_from_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To make space."""

    async def scenario(spool: Spool, job: Job) -> None:
        await finish(spool, job)
        limit_space(monkeypatch, tmp_path)
        await spool.withdraw(job.id)
        assert count(tmp_path, RESULT) == count(tmp_path, SOURCE) == 0

    with_job(tmp_path, scenario)


def test_a_result_that_is_deleted_twice_stays_known(tmp_path: Path) -> None:
    """A client that lost the first answer repeats the request."""

    async def scenario(spool: Spool, job: Job) -> None:
        await finish(spool, job)
        files = spool.result(job.id)
        await asyncio.gather(*(spool.withdraw(job.id) for _ in range(3)))
        await spool.withdraw(job.id)
        (read,) = read_spool(tmp_path)
        assert read.ended is not None
        assert (read.ended["result"], read.ended["error"]) == (None, None)
        assert count(tmp_path, RESULT) == 0
        with pytest.raises(Expired):
            spool.file(files["result_file_id"])

    with_job(tmp_path, scenario)


def test_a_failed_task_stays_known_when_its_result_is_deleted(tmp_path: Path) -> None:
    """There is none; the page deletes whatever is removed from its list."""

    async def scenario(spool: Spool, job: Job) -> None:
        await spool.fail(job, DamagedImage(), [])
        await spool.withdraw(job.id)
        (read,) = read_spool(tmp_path)
        assert read.ended is not None
        assert isinstance(records.failure_of(read.ended), DamagedImage)

    with_job(tmp_path, scenario)


def test_a_deleted_result_expires_when_it_was_to(tmp_path: Path) -> None:
    """Not a whole retention after its deletion; and its log is kept."""

    async def scenario(spool: Spool, job: Job) -> None:
        spool.path(job.id, RESULT).write_bytes(b"cutout")
        await spool.finish(job, MADE, {}, ["a line"])
        (before,) = read_spool(tmp_path)
        await spool.withdraw(job.id)
        (after,) = read_spool(tmp_path)
        assert before.ended is not None
        assert after.ended is not None
        assert after.ended["expires_at"] == before.ended["expires_at"]
        assert after.ended["logs"] == ["a line"]

    with_job(tmp_path, scenario)


@pytest.mark.parametrize("deleted", [True, False])
def test_a_deleted_result_s_files_stay_known_across_restarts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, deleted: bool
) -> None:
    """They answer 410, not 404, and are never served, even where Windows could not delete them in use."""
    if not deleted:
        monkeypatch.setattr(Path, "unlink", refuse_unlink)

    async def scenario(spool: Spool, job: Job) -> None:
        await finish(spool, job)
        result = spool.result(job.id)
        await spool.withdraw(job.id)
        restarted = Spool(tmp_path, 60, durable=True)
        (read,) = read_spool(tmp_path)
        assert read.ended is not None
        restarted.restore(job, read.ended)
        assert spool.path(job.id, RESULT).exists() != deleted
        for each in (spool, restarted):
            for file_id in (result["original_file_id"], result["result_file_id"]):
                with pytest.raises(Expired):
                    each.file(file_id)
        await restarted.delete(job.id)
        with pytest.raises(NotFound):
            restarted.file(result["result_file_id"])

    with_job(tmp_path, scenario)


def refuse_unlink(*_: Any, **__: Any) -> None:
    """Fail as Windows does for a file in use."""
    raise PermissionError(13, "The process cannot access the file")


@pytest.mark.parametrize("name", ["job.json", "end.json"])
def test_a_record_of_which_only_parts_reached_the_disk_is_absent(tmp_path: Path, name: str) -> None:
    """Blocks that were not written read as zeros. It was not synced, so no client was notified of it."""
    torn, _ = accept(tmp_path, 1), accept(tmp_path, 2)
    end(torn, logs=["x" * 5000])
    whole = (torn / name).read_bytes()
    (torn / name).write_bytes(whole[: len(whole) // 2].ljust(len(whole), b"\0"))
    assert [each.number for each in read_spool(tmp_path)] == ([1, 2] if name == "end.json" else [2])
    assert not (tmp_path / UNREADABLE).exists()


@pytest.mark.parametrize("name", ["../../other/source", "/etc/passwd", "lock"])
def test_a_record_that_names_other_files_is_moved_aside(tmp_path: Path, name: str) -> None:
    """Damaged or forged: clients could download them."""

    async def scenario(spool: Spool, job: Job) -> None:
        await finish(spool, job)
        record = tmp_path / job.id / "end.json"
        record.write_text(record.read_text().replace('"name":"result"', f'"name":"{name}"'))
        assert name in record.read_text()
        assert read_spool(tmp_path) == []
        assert (tmp_path / UNREADABLE / job.id / RESULT).exists()

    with_job(tmp_path, scenario)


def test_a_folder_that_cannot_be_moved_aside_does_not_stop_the_start(tmp_path: Path) -> None:
    """One of that name is there, or the disk is full."""
    folder, _ = accept(tmp_path, 1), accept(tmp_path, 2)
    record = json.loads((folder / "job.json").read_text())
    (folder / "job.json").write_text(json.dumps({**record, "format": 99}))
    (tmp_path / UNREADABLE / folder.name).mkdir(parents=True)
    (tmp_path / UNREADABLE / folder.name / "job.json").touch()
    assert [each.number for each in read_spool(tmp_path)] == [2]
    assert (folder / "job.json").exists()


def test_a_spool_of_another_user_is_left_alone(tmp_path: Path) -> None:
    """A numbered folder that root made, for example: the service starts, and adopts the others."""
    (tmp_path / "2" / LOCK).mkdir(parents=True)  # cannot be opened, even by root
    accept(tmp_path / "2", 1)
    (tmp_path / "3").mkdir()
    adopted = accept(tmp_path / "3", 2)
    claim = claim_spool_folder(tmp_path)
    assert [each.job.id for each in read_spool(claim.path)] == [adopted.name]
    claim.release()


def test_a_key_of_two_jobs_is_that_of_the_later_one(tmp_path: Path) -> None:
    """Two services accepted it, and one adopted the other's spool."""

    async def scenario() -> None:
        keys, tasks = IdempotencyKeys(), TaskStore(60)
        jobs = [
            replace(JOB, id=new_task_id(TaskKind.REMOVE), idempotency_key=IdempotencyKey("key", "same"))
            for _ in range(2)
        ]
        first, second = (tasks.create(TaskKind.REMOVE, job.id) for job in jobs)
        for job, task in zip(jobs, (first, second), strict=True):
            keys.restore(job, task)
        keys.forget(first.id)

        async def refuse() -> Any:
            raise AssertionError("accepted again")

        assert await keys.accept_once("one", jobs[0].idempotency_key, refuse) is second
        keys.forget(second.id)
        assert not keys._uses
        assert not keys._by_task

    asyncio.run(scenario())
    assert not list(tmp_path.iterdir())
