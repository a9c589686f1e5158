"""A supervisor that kills itself with SIGKILL at its n-th fsync or rename, before or after it.

Every step of a job on disk is one, so that each n is another moment between two steps.
"""

import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from typing import Any

from supervisor.server import main

number, moment = int(sys.argv[1]), sys.argv[2]
steps = count(1)


def kill_at_number(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return `call` as a step at which the process may die."""

    def step(*arguments: Any) -> None:
        this = next(steps)
        if this == number and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        call(*arguments)
        if this == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return step


if __name__ == "__main__":
    os.fsync = kill_at_number(os.fsync)
    os.replace = kill_at_number(os.replace)
    main(sys.argv[3:])
