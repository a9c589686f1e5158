"""How many files this process may have open: each connection is one, idle ones too."""

import contextlib
import sys

ENOUGH = 10_240  # the most that macOS lets a process ask for; it starts with 256, Linux with 1024


def raise_file_limit() -> None:
    """Raise the limit as far as the system lets us and is of use; a worker inherits it."""
    if sys.platform == "win32":  # there, sockets have no such limit
        return
    import resource  # noqa: PLC0415 - POSIX only

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # it then stays as it is
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
