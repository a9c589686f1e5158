"""Processes many images concurrently. A failed image does not affect the others."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cli.batch_report import Report
from cli.command_errors import CommandFailed, Unreachable
from cli.outputs import Job
from cli.progress_line import BatchProgress
from cli.removal_client import RemovalClient, Show
from cli.retry import RetriesExhausted
from cli.thread_pool import DaemonThreadPool

# Errors that every image of the run would meet.
FATAL_CODES = {"invalid_option", "unknown_model", "model_unavailable", "unauthorized", "host_refused"}


@dataclass(frozen=True)
class Outcome:
    """The result or the error of one image, and its duration."""

    result: dict[str, Any] | CommandFailed
    seconds: float


def run_batch(jobs: list[Job], client: RemovalClient, concurrency: int, report: Report) -> None:
    """Process all jobs, `concurrency` at a time, and retry while the server is unavailable.

    Raises CommandFailed for errors that would affect every further image.
    """
    client.service.client.check_health()
    progress = BatchProgress(report.progress, len(jobs))
    report.brief = report.progress.terminal
    with removal_pool(client, concurrency, progress.show_preparation) as pool:
        for job in jobs:
            pool.submit(job)
        for job, outcome in pool.as_completed():
            report_outcome(job, outcome, report, client)
            progress.advance()
            if isinstance(outcome.result, RetriesExhausted):
                raise outcome.result
    report.progress.clear()


@contextlib.contextmanager
def removal_pool(client: RemovalClient, size: int, show: Show) -> Iterator[DaemonThreadPool[Job, Outcome]]:
    """A thread pool that processes jobs; an exception in the block cancels the running ones."""
    pool = DaemonThreadPool(size, _make_worker(client, show))
    try:
        yield pool
    except BaseException:
        client.stop()
        raise
    finally:
        pool.shutdown()


def report_outcome(job: Job, outcome: Outcome, report: Report, client: RemovalClient) -> None:
    """Report one image. Raises CommandFailed for non-retryable errors that would affect every image."""
    if not isinstance(outcome.result, CommandFailed):
        report.add_written(job, outcome.result, outcome.seconds)
        return
    if isinstance(outcome.result, Unreachable | RetriesExhausted):
        client.service.check_alive()
    if outcome.result.code in FATAL_CODES and not report.written:
        raise outcome.result
    report.add_failed(job, outcome.result)


def _make_worker(client: RemovalClient, show: Show) -> Callable[[Job], Outcome]:
    def process(job: Job) -> Outcome:
        started = time.monotonic()
        try:
            result: dict[str, Any] | CommandFailed = client.remove_with_retry(job, show)
        except CommandFailed as error:
            result = error
        except Exception as error:  # noqa: BLE001 - fails this image alone
            result = CommandFailed(f"{type(error).__name__}: {error}", "internal_error")
        return Outcome(result, time.monotonic() - started)

    return process
