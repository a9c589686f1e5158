"""Retry policy: exponential back-off while the server restarts, Retry-After while its queue is full."""

import time
from collections.abc import Callable
from typing import TypeVar

from cli.command_errors import CommandFailed, ServerBusy, Unreachable

OUTAGE_BUDGET_S = 60.0  # without one success, over all images of the run
MAX_ATTEMPTS = 5  # per image, while the server answers
MAX_BACKOFF_S = 8.0
QUEUE_TIMEOUT_S = 600.0  # for a place in a queue that other clients keep full
# Errors that the image did not cause: the server stops, has restarted (and lost its tasks) or is full; this
# machine was suspended during the upload.
RETRYABLE_CODES = {"unreachable", "stopping", "not_ready", "queue_full", "not_found", "upload_stalled"}

Result = TypeVar("Result")


class RetriesExhausted(CommandFailed):
    """The server has accepted no image within the outage budget; further images would fail as well."""


class RetryPolicy:
    """Retries of one run, shared by its threads. `is_reachable` probes the server, `pause` sleeps."""

    def __init__(self, is_reachable: Callable[[], bool], pause: Callable[[float], None]) -> None:
        self._is_reachable = is_reachable
        self._pause = pause
        self._outage_since: float | None = None

    def call(self, operation: Callable[[], Result]) -> Result:
        """Repeat `operation` with exponential back-off until it succeeds.

        Raises its CommandFailed if that is not retryable or the attempts are used up, else RetriesExhausted.
        """
        attempts = 0
        while True:
            try:
                result = operation()
            except CommandFailed as error:
                if not is_retryable(error):
                    raise
                attempts += self._is_reachable()
                if attempts == MAX_ATTEMPTS:
                    raise
                self._check_outage_budget(error)
            else:
                self._outage_since = None
                return result
            self._pause(min(2.0**attempts, MAX_BACKOFF_S))

    def call_when_free(self, operation: Callable[[], Result], on_wait: Callable[[float], None]) -> Result:
        """Repeat `operation` while the queue is full, after the delay that the server names.

        Raises ServerBusy once the next attempt would be later than QUEUE_TIMEOUT_S.
        """
        deadline = time.monotonic() + QUEUE_TIMEOUT_S
        while True:
            try:
                return operation()
            except ServerBusy as busy:
                if time.monotonic() + busy.retry_after_s > deadline:
                    raise
                on_wait(busy.retry_after_s)
                self._pause(busy.retry_after_s)

    def _check_outage_budget(self, error: CommandFailed) -> None:
        now = time.monotonic()
        self._outage_since = self._outage_since or now
        if now - self._outage_since > OUTAGE_BUDGET_S:
            raise RetriesExhausted(error.detail, error.code) from error


def is_retryable(error: CommandFailed) -> bool:
    """Whether the same image may succeed later."""
    return error.code in RETRYABLE_CODES or isinstance(error, Unreachable)
