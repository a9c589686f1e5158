"""Many photos, a few at a time. One that fails stops no other."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cli.batch_report import Report
from cli.command_errors import CommandFailed, Unreachable
from cli.outputs import Job
from cli.progress_line import BatchProgress
from cli.removal_client import Cutter, Show
from cli.retry import RetriesExhausted
from cli.thread_pool import DaemonThreadPool

# What the first photo met with, every other one will: there is no use in sending thousands.
HOPELESS = {"invalid_option", "unknown_model", "unauthorized", "host_refused"}


@dataclass(frozen=True)
class Outcome:
    """What came of one photo, and how long it took."""

    result: dict[str, Any] | CommandFailed
    seconds: float


def run_batch(jobs: list[Job], cutter: Cutter, size: int, report: Report) -> None:
    """Cut all the photos out, up to `size` at a time.

    A server that goes away is waited for. Raises CommandFailed for what would make every further photo fail.
    """
    cutter.service.client.check()
    counted = BatchProgress(report.progress, len(jobs))
    report.brief = report.progress.terminal
    with working(cutter, size, counted.preparing) as crew:
        for job in jobs:
            crew.hand_in(job)
        for job, outcome in crew.outcomes():
            tell(job, outcome, report, cutter)
            counted.advance()
            if isinstance(outcome.result, RetriesExhausted):
                raise outcome.result
    report.progress.clear()


@contextlib.contextmanager
def working(cutter: Cutter, size: int, show: Show) -> Iterator[DaemonThreadPool[Job, Outcome]]:
    """Threads that cut photos out; where the block ends early, what is on its way is given up."""
    crew = DaemonThreadPool(size, _attempts(cutter, show))
    try:
        yield crew
    except BaseException:
        cutter.stop()
        raise
    finally:
        crew.leave()


def tell(job: Job, outcome: Outcome, report: Report, cutter: Cutter) -> None:
    """Report what came of a photo. Raises CommandFailed where that leaves no hope for the others."""
    if not isinstance(outcome.result, CommandFailed):
        report.wrote(job, outcome.result, outcome.seconds)
        return
    if isinstance(outcome.result, Unreachable | RetriesExhausted):
        cutter.service.check_alive()
    if outcome.result.code in HOPELESS and not report.written:
        raise outcome.result
    report.failed(job, outcome.result)


def _attempts(cutter: Cutter, show: Show) -> Callable[[Job], Outcome]:
    def attempt(job: Job) -> Outcome:
        started = time.monotonic()
        try:
            result: dict[str, Any] | CommandFailed = cutter.cut_patiently(job, show)
        except CommandFailed as error:
            result = error
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this photo's
            result = CommandFailed(f"{type(error).__name__}: {error}", "internal_error")
        return Outcome(result, time.monotonic() - started)

    return attempt
