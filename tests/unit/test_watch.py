"""`remove --watch`: the stable-file detector, and which files are submitted, retried and left alone."""

from pathlib import Path
from typing import cast

import pytest

from cli.batch import Outcome
from cli.batch_report import Report
from cli.command_errors import CommandFailed, Unreachable
from cli.inputs import Source
from cli.outputs import Job, Naming
from cli.progress_line import Progress
from cli.thread_pool import DaemonThreadPool
from cli.watch import RETRY_S, FileSignature, StableFileDetector, WatchedFolder, _WatchState

FIRST, SECOND = FileSignature(10, 1), FileSignature(10, 2)
DONE = Outcome({"width": 1}, 1.0)
DAMAGED = Outcome(CommandFailed("The image is damaged.", "damaged_image"), 1.0)


def test_a_file_is_stable_once_it_has_not_changed_for_the_settle_time() -> None:
    """Each change restarts the wait, also one that keeps the size."""
    detector = StableFileDetector(settle_s=1.0)
    assert detector.update(0.0, {"a": FileSignature(10, 1)}) == []
    assert detector.update(0.9, {"a": FileSignature(10, 1)}) == []
    assert detector.update(1.0, {"a": FileSignature(10, 1)}) == ["a"]
    assert detector.update(1.5, {"a": FileSignature(10, 2)}) == []
    assert detector.update(2.4, {"a": FileSignature(10, 2)}) == []
    assert detector.update(2.5, {"a": FileSignature(10, 2)}) == ["a"]


def test_a_file_that_was_deleted_and_created_again_waits_again() -> None:
    """It may be another file of the same name."""
    detector = StableFileDetector(settle_s=1.0)
    detector.update(0.0, {"a": FileSignature(10, 1)})
    detector.update(0.5, {})
    assert detector.update(1.0, {"a": FileSignature(10, 1)}) == []


def test_an_empty_file_is_never_stable() -> None:
    """Programs create a file first and write later."""
    detector = StableFileDetector(settle_s=1.0)
    detector.update(0.0, {"a": FileSignature(0, 1)})
    assert detector.update(100.0, {"a": FileSignature(0, 1)}) == []


class Pool:
    """Records what is submitted."""

    def __init__(self) -> None:
        self.items: list[Job] = []

    def submit(self, job: Job) -> None:
        """Record a job."""
        self.items.append(job)


class Inbox:
    """The state of a watch of one photo, and a clock."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, *, done: bool = False, overwrite: bool = False
    ) -> None:
        photo = folder / "photo.jpg"
        photo.write_bytes(b"photo")
        self.job = Job(Source(str(photo), in_folder=True), folder / "photo-cutout.png")
        if done:
            (folder / "photo-cutout.png").write_bytes(b"result")
        self.now_s = 1000.0
        monkeypatch.setattr("cli.watch.time.monotonic", lambda: self.now_s)
        pool = self.pool = Pool()
        watched = WatchedFolder(folder, Naming({}), recursive=False, overwrite=overwrite)
        self.report = Report(Progress(quiet=True), as_json=False)
        self.state = _WatchState(watched, cast("DaemonThreadPool[Job, Outcome]", pool), self.report)

    def submissions(self, signature: FileSignature, outcome: Outcome | None = None) -> int:
        """Scan once, let what was submitted end with `outcome`, and count the submissions so far."""
        before = len(self.pool.items)
        self.state.submit_if_new(self.job, signature)
        if outcome is not None and len(self.pool.items) > before:
            self.state.record_outcome(self.job, outcome)
        return len(self.pool.items)


@pytest.mark.parametrize("outcome", [DONE, DAMAGED], ids=["done", "damaged"])
def test_a_version_of_a_file_is_submitted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: Outcome
) -> None:
    """A damaged photo that is submitted again and again is a watch that never rests."""
    inbox = Inbox(tmp_path, monkeypatch)
    for _ in range(50):
        assert inbox.submissions(FIRST, outcome) == 1
        inbox.now_s += 3600
    assert inbox.submissions(SECOND, outcome) == 2
    assert inbox.submissions(SECOND, outcome) == 2


@pytest.mark.parametrize(
    "error",
    [
        Unreachable("no connection", "unreachable"),
        CommandFailed("The service is stopping.", "stopping"),
        CommandFailed("the file changed during the upload", "input_changed"),
    ],
    ids=lambda error: error.code,
)
def test_a_retry_comes_after_its_delay_and_ends_with_the_first_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: CommandFailed
) -> None:
    """A service that is away must not be asked twice a second, and a photo that is done is done."""
    inbox, failed = Inbox(tmp_path, monkeypatch), Outcome(error, 1.0)
    for attempt in range(1, 4):
        assert inbox.submissions(FIRST, failed) == attempt
        inbox.now_s += RETRY_S - 0.1
        assert inbox.submissions(FIRST, failed) == attempt
        inbox.now_s += 0.2
    assert inbox.submissions(FIRST, DONE) == 4
    inbox.now_s += 9 * 3600
    assert inbox.submissions(FIRST, DONE) == 4


def test_a_file_that_changes_while_it_is_processed_is_submitted_after_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two removals of one photo at the same time would write the same result."""
    inbox = Inbox(tmp_path, monkeypatch)
    assert inbox.submissions(FIRST) == 1
    assert inbox.submissions(SECOND) == 1
    inbox.state.record_outcome(inbox.job, DONE)
    assert inbox.submissions(SECOND) == 2


@pytest.mark.parametrize(("overwrite", "first"), [(False, 0), (True, 1)])
def test_a_result_that_is_up_to_date_at_the_start_is_kept_unless_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, overwrite: bool, first: int
) -> None:
    """Only at the start: a photo that changes later is processed, and each is reported as skipped once."""
    inbox = Inbox(tmp_path, monkeypatch, done=True, overwrite=overwrite)
    for _ in range(3):
        assert inbox.submissions(FIRST, DONE) == first
    assert inbox.report.skipped == 1 - first
    assert inbox.submissions(SECOND, DONE) == first + 1
