"""How many cores the worker takes for its own."""

import os
from pathlib import Path

import pytest

from worker.imaging import parallel


@pytest.mark.parametrize(
    ("quota", "available"),
    [
        ("max 100000", 8),
        ("400000 100000", 4),
        ("150000 100000", 1),
        ("50000 100000", 1),
        ("3200000 100000", 8),
        ("nonsense", 8),
        (None, 8),
    ],
)
def test_a_containers_quota_counts_as_fewer_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str | None, available: int
) -> None:
    """With a thread for each core of the machine, a container is stopped again and again by its quota."""
    cpu_max = tmp_path / "cpu.max"
    if quota is not None:
        cpu_max.write_text(f"{quota}\n")
    monkeypatch.setattr(parallel, "CGROUP_CPU_MAX", cpu_max)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert parallel.available_cores() == available
