"""A supervisor that kills itself with SIGKILL at its n-th fsync, as a loss of power would stop it.

Every step of a job on disk ends with one, so that each n is another moment between two steps.
"""

import os
import signal
import sys

from supervisor.server import main

number, moment = int(sys.argv[1]), sys.argv[2]
fsync = os.fsync
count = 0


def kill_at_number(descriptor: int) -> None:
    """Call fsync, or die."""
    global count  # noqa: PLW0603
    count += 1
    if count == number and moment == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    fsync(descriptor)
    if count == number:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    os.fsync = kill_at_number  # type: ignore[assignment]
    main(sys.argv[3:])
