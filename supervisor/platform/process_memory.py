"""Memory of processes: resident set size, and the count of the kernel's out-of-memory kills."""

from pathlib import Path

import psutil

VMSTAT = Path("/proc/vmstat")


def rss_bytes(pid: int) -> int | None:
    """Return a process's resident memory, or None once it is gone."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return None


def oom_kills(vmstat: Path = VMSTAT) -> int | None:
    """Return how many processes Linux has killed for lack of memory since boot; None where it is unknown."""
    try:
        counters = dict(line.split() for line in vmstat.read_text().splitlines())
        return int(counters["oom_kill"])
    except (OSError, ValueError, KeyError):
        return None
