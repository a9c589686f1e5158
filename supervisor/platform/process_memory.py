"""Process memory: resident set size, and the kernel's count of out-of-memory kills."""

from pathlib import Path

import psutil

VMSTAT = Path("/proc/vmstat")


def rss_bytes(pid: int) -> int | None:
    """Return a process's resident set size (RSS), or None if it has ended."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return None


def oom_kills(vmstat: Path = VMSTAT) -> int | None:
    """Return the number of out-of-memory kills since boot; None on systems other than Linux."""
    try:
        counters = dict(line.split() for line in vmstat.read_text().splitlines())
        return int(counters["oom_kill"])
    except (OSError, ValueError, KeyError):
        return None
