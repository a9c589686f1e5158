"""Watches a folder and processes each image that appears or changes, once the file is complete.

By polling with the standard library: file system notifications do not reach network drives and containers.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from cli.batch import Outcome, removal_pool, report_outcome
from cli.batch_report import Report
from cli.command_errors import CommandFailed
from cli.inputs import find_images
from cli.outputs import Job, Naming, ensure_writable_folder
from cli.removal_client import RemovalClient
from cli.retry import is_retryable
from cli.thread_pool import DaemonThreadPool

POLL_S = 0.5
IDLE_RATIO = 4  # the pause after a scan is at least this multiple of its duration, for large folders
SETTLE_S = 1.0
RETRY_S = 10.0
FILE_CHANGED = "input_changed"  # the code of an upload whose file changed meanwhile


class FileSignature(NamedTuple):
    """Size and modification time, which change with every write."""

    size_bytes: int
    mtime_ns: int


class StableFileDetector:
    """Detects files that have stopped changing (debounce): the same signature for `settle_s` seconds."""

    def __init__(self, settle_s: float) -> None:
        self._settle_s = settle_s
        self._since: dict[str, tuple[FileSignature, float]] = {}

    def update(self, now_s: float, signatures: Mapping[str, FileSignature]) -> list[str]:
        """Record the present signatures by name and return the stable files. Empty files never are."""
        current = {}
        for name, signature in signatures.items():
            previous, since = self._since.get(name, (None, now_s))
            current[name] = (signature, since if previous == signature else now_s)
        self._since = current
        return [
            name
            for name, (signature, since) in current.items()
            if signature.size_bytes and now_s - since >= self._settle_s
        ]


@dataclass(frozen=True)
class WatchedFolder:
    """A folder to watch and how to process the images in it."""

    folder: Path
    naming: Naming
    recursive: bool
    overwrite: bool

    def scan(self) -> dict[str, tuple[Job, FileSignature]]:
        """Return the present images by name, without results. Raises CommandFailed."""
        signatures = {}
        for source in find_images(self.folder, recursive=self.recursive, exclude=self.naming.folder):
            try:
                status = source.path.stat()
            except OSError:  # just deleted
                continue
            if not self.naming.is_result(source):
                signatures[source] = FileSignature(status.st_size, status.st_mtime_ns)
        return {job.source.name: (job, signatures[job.source]) for job in self.naming.make_jobs(signatures)}


def watch(watched: WatchedFolder, client: RemovalClient, concurrency: int, report: Report) -> None:
    """Process images until an exception: KeyboardInterrupt, or CommandFailed for errors of every image."""
    report.note(f"watching {watched.folder}; Ctrl-C ends it")
    try:
        client.service.client.check_health()
    except CommandFailed as error:
        report.note(f"{error.detail}; images wait until it answers")
    detector = StableFileDetector(SETTLE_S)
    with removal_pool(client, concurrency, lambda _percent, _message: None) as pool:
        state = _WatchState(watched, pool, report)
        while True:
            started = time.monotonic()
            images = watched.scan()
            signatures = {name: signature for name, (_, signature) in images.items()}
            for name in detector.update(started, signatures):
                state.submit_if_new(*images[name])
            for job, outcome in pool.completed():
                state.record_outcome(job, outcome)
                report_outcome(job, outcome, report, client)
            time.sleep(max(POLL_S, IDLE_RATIO * (time.monotonic() - started)))


@dataclass
class _WatchState:
    """Submits each version of a file once, and again after an error that the image did not cause."""

    watched: WatchedFolder
    pool: DaemonThreadPool[Job, Outcome]
    report: Report
    running: set[str] = field(default_factory=set)
    submitted: dict[str, FileSignature] = field(default_factory=dict)
    retry_at: dict[str, float] = field(default_factory=dict)

    def submit_if_new(self, job: Job, signature: FileSignature) -> None:
        name = job.source.name
        retry = time.monotonic() >= self.retry_at.get(name, math.inf)
        if name in self.running or (self.submitted.get(name) == signature and not retry):
            return
        self.retry_at.pop(name, None)
        first = name not in self.submitted
        self.submitted[name] = signature
        if first and job.up_to_date and not self.watched.overwrite:
            self.report.add_up_to_date(job)
            return
        try:
            if job.output is not None:
                ensure_writable_folder(job.output.parent)
        except CommandFailed as error:
            self.report.add_failed(job, error)
            return
        self.running.add(name)
        self.pool.submit(job)

    def record_outcome(self, job: Job, outcome: Outcome) -> None:
        """Mark an image as completed, and schedule its retry if the image did not cause the error."""
        self.running.discard(job.source.name)
        error = outcome.result
        if isinstance(error, CommandFailed) and (error.code == FILE_CHANGED or is_retryable(error)):
            self.retry_at[job.source.name] = time.monotonic() + RETRY_S
