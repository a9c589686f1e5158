"""Raises the limit of open file descriptors (RLIMIT_NOFILE): every connection needs one, idle ones too."""

import contextlib
import sys

WANTED_FILES = 10_240  # the maximum on macOS (OPEN_MAX); defaults: 256 on macOS, 1024 on Linux


def raise_file_limit() -> None:
    """Raise the soft limit to WANTED_FILES, or the hard limit if lower; workers inherit it."""
    if sys.platform == "win32":  # sockets have no such limit there
        return
    import resource  # noqa: PLC0415 - POSIX only

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_FILES if hard == resource.RLIM_INFINITY else min(hard, WANTED_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # the limit stays as it is
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
