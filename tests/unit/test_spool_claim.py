"""Spool folders that belong to others, and one that is deleted or moved under its service."""

import asyncio
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from shared.errors import StorageFailed
from supervisor.jobs import spool_claim
from supervisor.jobs.job import SOURCE
from supervisor.jobs.recovery import read_spool
from supervisor.jobs.spool import Spool
from supervisor.jobs.spool_claim import SpoolClaim, claim_spool_folder
from supervisor.tasks.task import TaskKind, new_task_id
from tests.unit.test_recovery import JOB, accept

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows deletes no folder with an open file")


@pytest.fixture
def claim(tmp_path: Path) -> Iterator[Callable[[], SpoolClaim]]:
    """Return a function that claims a folder as another start of the service does."""
    with ExitStack() as claims:

        def claim() -> SpoolClaim:
            made = claim_spool_folder(tmp_path / "spool")
            claims.callback(made.release)
            return made

        yield claim


def delete(folder: Path) -> None:
    """Delete a folder."""
    shutil.rmtree(folder)


def move(folder: Path) -> None:
    """Move a folder away."""
    folder.rename(folder.with_name("moved"))


def accept_job(claimed: SpoolClaim) -> None:
    """Accept a job in the spool of a claimed folder."""
    spool = Spool(claimed.path, 60, durable=True, claim=claimed)
    job = replace(JOB, id=new_task_id(TaskKind.REMOVE))
    asyncio.run(spool.accept(job, {SOURCE: Path.touch}))


def test_a_numbered_folder_of_another_user_is_skipped(
    tmp_path: Path, claim: Callable[[], SpoolClaim], caplog: pytest.LogCaptureFixture
) -> None:
    """Such as one that root made: the service could not start."""
    other = tmp_path / "other"
    other.mkdir()
    accept(other, 1)
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "1").symlink_to(other)  # is no folder of ours, as another user's is none
    assert claim().path.name == "2"
    assert "spool folder skipped" in caplog.messages
    assert len(read_spool(other)) == 1, "nor are its jobs taken"


def test_services_beyond_the_maximum_are_refused(
    monkeypatch: pytest.MonkeyPatch, claim: Callable[[], SpoolClaim]
) -> None:
    """The search for a free folder must end."""
    monkeypatch.setattr(spool_claim, "MAX_FOLDERS", 2)
    assert [claim().path.name for _ in range(2)] == ["1", "2"]
    with pytest.raises(StorageFailed, match="BGREMOVE_SPOOL_DIR"):
        claim()


@pytest.mark.parametrize("remove", [delete, move])
def test_a_deleted_spool_folder_is_made_and_claimed_again(
    tmp_path: Path,
    claim: Callable[[], SpoolClaim],
    caplog: pytest.LogCaptureFixture,
    remove: Callable[[Path], None],
) -> None:
    """Otherwise a second service would get the same number, and delete what it does not know."""
    first = claim()
    remove(tmp_path / "spool")
    for _ in range(2):
        accept_job(first)
    assert caplog.messages == ["deleted spool folder made again, without its jobs"]
    assert claim().path.name == "2"
    assert len(read_spool(first.path)) == 2


def test_a_folder_that_another_service_has_claimed_meanwhile_is_left_to_it(
    tmp_path: Path, claim: Callable[[], SpoolClaim]
) -> None:
    """Its jobs must not be mixed with others."""
    first = claim()
    delete(tmp_path / "spool")
    second = claim()
    assert second.path == first.path
    accept_job(second)
    with pytest.raises(StorageFailed, match="restart this service"):
        accept_job(first)
    assert len(read_spool(second.path)) == 1


def test_uploads_at_the_same_time_claim_a_deleted_folder_once(
    tmp_path: Path, claim: Callable[[], SpoolClaim]
) -> None:
    """The second would find it locked, by the first."""
    first = claim()
    delete(tmp_path / "spool")
    with ThreadPoolExecutor(8) as pool:
        for renewed in [pool.submit(first.renew) for _ in range(8)]:
            renewed.result()


def test_a_released_claim_is_free(claim: Callable[[], SpoolClaim]) -> None:
    """Also one that was renewed."""
    first = claim()
    delete(first.path)
    first.renew()
    first.release()
    assert claim().path == first.path
