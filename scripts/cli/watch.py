"""Watches a folder, and cuts out each picture that comes into it or changes there, once it is whole.

It looks again and again, by the standard library alone: that also works on network drives and in containers,
where the systems' notices of changes do not come.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from cli.batch import Outcome, tell, working
from cli.batch_report import Report
from cli.command_errors import CommandFailed
from cli.inputs import pictures_in
from cli.outputs import Job, Naming, check_folder
from cli.removal_client import Cutter
from cli.retry import is_retryable
from cli.thread_pool import DaemonThreadPool

POLL_S = 0.5
POLL_SHARE = 4  # a look at a large folder that takes a second is followed by a rest of four
SETTLE_S = 1.0
ANOTHER_TIME = "input_changed"  # not of the picture as it is now
AGAIN_S = 10.0


class Stamp(NamedTuple):
    """What changes when a file is written to."""

    size_bytes: int
    changed_ns: int


class Settling:
    """Follows files from one look to the next."""

    def __init__(self, settle_s: float) -> None:
        self._settle_s = settle_s
        self._since: dict[str, tuple[Stamp, float]] = {}

    def look(self, now_s: float, stamps: Mapping[str, Stamp]) -> list[str]:
        """Take in the files as they are now and return those that have settled. Empty ones never do."""
        kept = {}
        for name, stamp in stamps.items():
            before, since = self._since.get(name, (None, now_s))
            kept[name] = (stamp, since if before == stamp else now_s)
        self._since = kept
        return [
            name
            for name, (stamp, since) in kept.items()
            if stamp.size_bytes and now_s - since >= self._settle_s
        ]


@dataclass(frozen=True)
class Watched:
    """A folder, and what to do with the pictures in it."""

    folder: Path
    naming: Naming
    recursive: bool
    overwrite: bool

    def look(self) -> dict[str, tuple[Job, Stamp]]:
        """Return the pictures that are there now, but for results, by name. Raises CommandFailed."""
        stamps = {}
        for source in pictures_in(self.folder, recursive=self.recursive, passed_over=self.naming.folder):
            try:
                facts = source.path.stat()
            except OSError:  # just deleted
                continue
            if not self.naming.is_result(source):
                stamps[source] = Stamp(facts.st_size, facts.st_mtime_ns)
        return {job.source.name: (job, stamps[job.source]) for job in self.naming.jobs(stamps)}


def watch(watched: Watched, cutter: Cutter, size: int, report: Report) -> None:
    """Go on until something raises: Ctrl-C, or a CommandFailed that leaves no hope."""
    report.note(f"watching {watched.folder}; Ctrl-C ends it")
    try:
        cutter.service.client.check()
    except CommandFailed as error:
        report.note(f"{error.detail}; pictures wait until it answers")
    settling = Settling(SETTLE_S)
    with working(cutter, size, lambda _percent, _message: None) as crew:
        taking = _Taking(watched, crew, report)
        while True:
            started = time.monotonic()
            pictures = watched.look()
            stamps = {name: stamp for name, (_, stamp) in pictures.items()}
            for name in settling.look(started, stamps):
                taking.take(*pictures[name])
            for job, outcome in crew.outcomes_now():
                taking.ended(job, outcome)
                tell(job, outcome, report, cutter)
            time.sleep(max(POLL_S, POLL_SHARE * (time.monotonic() - started)))


@dataclass
class _Taking:
    """Hands in each state of a picture once."""

    watched: Watched
    crew: DaemonThreadPool[Job, Outcome]
    report: Report
    busy: set[str] = field(default_factory=set)
    taken: dict[str, Stamp] = field(default_factory=dict)
    again_at: dict[str, float] = field(default_factory=dict)

    def take(self, job: Job, stamp: Stamp) -> None:
        name = job.source.name
        again = time.monotonic() >= self.again_at.get(name, math.inf)
        if name in self.busy or (self.taken.get(name) == stamp and not again):
            return
        self.again_at.pop(name, None)
        new = name not in self.taken
        self.taken[name] = stamp
        if new and job.done and not self.watched.overwrite:
            self.report.skipped_done(job)
            return
        try:
            if job.output is not None:
                check_folder(job.output.parent)
        except CommandFailed as error:
            self.report.failed(job, error)
            return
        self.busy.add(name)
        self.crew.hand_in(job)

    def ended(self, job: Job, outcome: Outcome) -> None:
        """Note that a picture is through, or has to come again, for what failed was not the picture."""
        self.busy.discard(job.source.name)
        error = outcome.result
        if isinstance(error, CommandFailed) and (error.code == ANOTHER_TIME or is_retryable(error)):
            self.again_at[job.source.name] = time.monotonic() + AGAIN_S
