"""Measures how much memory this process may still take, on Linux: the system's, within every cgroup's limit.

Sources: Linux documentation, admin-guide/cgroup-v2 (memory.max, memory.current, memory.stat) and
admin-guide/cgroup-v1/memory; proc(5) (MemAvailable).
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from worker.malloc import count_free_heap_bytes

PROC, CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")
# By version: the limit, the usage, and the parts of the page cache in memory.stat, which is reclaimable.
_V2 = "memory.max", "memory.current", ("inactive_file", "active_file")
_V1 = "memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file")


def measure_available_bytes() -> int | None:
    """Return how much more memory jobs can take, None where that is unknown: on other systems than Linux.

    Memory that this process has freed, and that the C library retains for it, counts as available.
    """
    if not sys.platform.startswith("linux"):
        return None
    margins = [*read_system_bytes(PROC), *read_cgroup_bytes(PROC, CGROUPS)]
    return max(0, min(margins)) + count_free_heap_bytes() if margins else None


def read_system_bytes(proc: Path) -> Iterator[int]:
    """Yield the system's MemAvailable."""
    for line in _read_lines(proc / "meminfo"):
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024


def read_cgroup_bytes(proc: Path, cgroups: Path) -> Iterator[int]:
    """Yield the difference between limit and usage of this process's cgroup, and of each one above it.

    In a container, the paths in `proc` may be the host's; its own cgroup is then the topmost one.
    """
    for line in _read_lines(proc / "self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, files = cgroups, _V2
        elif "memory" in controllers.split(","):
            root, files = cgroups / "memory", _V1
        else:
            continue
        folder = root / path.lstrip("/")
        for group in (folder, *folder.parents):
            yield from _read_margin(group, *files)
            if group == root:
                break


def _read_margin(group: Path, limit: str, usage: str, cache: tuple[str, ...]) -> Iterator[int]:
    try:
        limit_bytes, used_bytes = (int((group / name).read_text()) for name in (limit, usage))
    except (OSError, ValueError):  # no such group or controller, or "max": no limit
        return
    statistics = dict(line.split() for line in _read_lines(group / "memory.stat"))
    yield limit_bytes - used_bytes + sum(int(statistics.get(name, 0)) for name in cache)


def _read_lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
