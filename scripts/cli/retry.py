"""Patience with a server that is restarted: photos are sent again, and nobody waits for ever."""

import time
from collections.abc import Callable
from typing import TypeVar

from cli.command_errors import CommandFailed, Unreachable

PATIENCE_S = 60.0  # with a server that takes no photo at all
TRIES = 5  # of one photo, with a server that answers
LONGEST_PAUSE_S = 8.0
# What has nothing to do with the photo: a server that ends or is full; one that came up anew, which knows
# nothing of what the one before was given; and this machine, asleep while it sent.
PASSING = {"unreachable", "stopping", "not_ready", "queue_full", "not_found", "upload_stalled"}

Done = TypeVar("Done")


class GivenUp(CommandFailed):
    """The server has taken no photo for too long: there is no use in sending others."""


class Patience:
    """One run's, shared by its threads. `answers` tells whether the server does; `pause` waits."""

    def __init__(self, answers: Callable[[], bool], pause: Callable[[float], None]) -> None:
        self._answers = answers
        self._pause = pause
        self._trouble_since: float | None = None

    def attempt(self, send: Callable[[], Done]) -> Done:
        """Call `send` until it has worked. Raises its CommandFailed where that is the photo's, or GivenUp."""
        tries = 0
        while True:
            try:
                done = send()
            except CommandFailed as error:
                if not is_passing(error):
                    raise
                tries += self._answers()
                if tries == TRIES:
                    raise
                self._endure(error)
            else:
                self._trouble_since = None
                return done
            self._pause(min(2.0**tries, LONGEST_PAUSE_S))

    def _endure(self, error: CommandFailed) -> None:
        now = time.monotonic()
        self._trouble_since = self._trouble_since or now
        if now - self._trouble_since > PATIENCE_S:
            raise GivenUp(error.detail, error.code) from error


def is_passing(error: CommandFailed) -> bool:
    """Whether the photo that met with it may fare better in a moment."""
    return error.code in PASSING or isinstance(error, Unreachable)
