"""The memory gate: jobs wait for memory in order, run alone, or are refused; never by luck."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.errors import Cancelled, OutOfMemory
from worker import available_memory, memory_gate
from worker.memory_gate import MemoryGate

WAIT_S = 10
GB = 10**9


def ignore() -> None:
    """Never cancel."""


class Job(threading.Thread):
    """A job on a thread that holds its memory until it is released."""

    def __init__(self, gate: MemoryGate, need_bytes: int, check: Callable[[], None] = ignore) -> None:
        super().__init__(daemon=True)
        self.started, self.released = threading.Event(), threading.Event()
        self._gate, self._need_bytes, self._check = gate, need_bytes, check
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        """Wait for the memory and hold it."""
        try:
            with self._gate.admit(self._need_bytes, self._check):
                self.started.set()
                self.released.wait(WAIT_S)
        except (Cancelled, OutOfMemory) as error:
            self.error = error

    def end(self) -> None:
        """Release the memory."""
        self.released.set()
        self.join(WAIT_S)


def waits(job: Job) -> bool:
    """Whether a job has not started after a while."""
    return not job.started.wait(3 * memory_gate.POLL_S)


def test_jobs_that_fit_run_together_and_one_that_does_not_waits() -> None:
    """An image of 100 megapixels and two of 24 in a container of 2 GB."""
    gate = MemoryGate(lambda: 17 * GB // 10)
    first, second = Job(gate, GB), Job(gate, 4 * GB // 10)
    assert first.started.wait(WAIT_S)
    assert second.started.wait(WAIT_S)
    third = Job(gate, 4 * GB // 10)
    assert waits(third)
    first.end()
    assert third.started.wait(WAIT_S)
    second.end()
    third.end()


@pytest.mark.parametrize("available", [None, 64 * GB])
def test_large_jobs_wait_for_each_other_and_small_ones_run_beside_one(available: int | None) -> None:
    """Two of the largest images would take 5 GB; a usual photo does not wait for one."""
    gate = MemoryGate(lambda: available)
    large, small = Job(gate, 3 * GB), Job(gate, 2 * GB // 10)
    assert large.started.wait(WAIT_S)
    assert small.started.wait(WAIT_S)
    other_large = Job(gate, 4 * GB)
    assert waits(other_large)
    small.end()
    assert waits(other_large)
    large.end()
    assert other_large.started.wait(WAIT_S)
    sums_to_much = [Job(gate, 2 * GB // 10) for _ in range(3)]
    deadline = time.monotonic() + WAIT_S
    while sum(job.started.is_set() for job in sums_to_much) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(3 * memory_gate.POLL_S)
    assert [job.started.is_set() for job in sums_to_much].count(True) == 2
    other_large.end()
    for job in sums_to_much:
        assert job.started.wait(WAIT_S)
        job.end()


def test_a_large_job_runs_alone_and_is_not_overtaken() -> None:
    """A stream of small images would otherwise keep it waiting without end."""
    gate = MemoryGate(lambda: 2 * GB)
    small = Job(gate, GB)
    assert small.started.wait(WAIT_S)
    large = Job(gate, 2 * GB)
    assert waits(large)
    later = Job(gate, GB // 4)
    assert waits(later)
    small.end()
    assert large.started.wait(WAIT_S)
    assert waits(later)
    large.end()
    assert later.started.wait(WAIT_S)
    later.end()


def test_a_job_that_never_fits_is_refused_with_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than that the kernel kills the worker and all its jobs."""
    monkeypatch.setattr(memory_gate, "PATIENCE_S", 0.2)
    gate = MemoryGate(lambda: 2 * GB)
    with pytest.raises(OutOfMemory) as refused, gate.admit(3 * GB, ignore):
        pass
    for text in ("3,000 MB", "2,000 MB", "smaller", "BGREMOVE_MAX_PIXELS", "more memory"):
        assert text in refused.value.detail
    with gate.admit(GB, ignore):  # nothing of the refused one is left
        pass


def test_a_job_that_waits_for_others_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long they run: only a job that does not fit alone is."""
    monkeypatch.setattr(memory_gate, "PATIENCE_S", 0.05)
    gate = MemoryGate(lambda: GB)
    running = Job(gate, GB)
    assert running.started.wait(WAIT_S)
    waiting = Job(gate, GB)
    assert waits(waiting)
    running.end()
    assert waiting.started.wait(WAIT_S)
    waiting.end()


def test_a_job_waits_a_moment_for_the_memory_of_other_processes() -> None:
    """Another model's worker may end its job."""
    available = [GB, GB, 3 * GB]
    gate = MemoryGate(lambda: available.pop(0))
    with gate.admit(2 * GB, ignore):
        assert not available


def test_a_waiting_job_can_be_cancelled() -> None:
    """The supervisor allows two seconds for it, and would end the worker afterwards."""
    gate = MemoryGate(lambda: GB)
    running, cancelled = Job(gate, GB), threading.Event()

    def check() -> None:
        if cancelled.is_set():
            raise Cancelled

    assert running.started.wait(WAIT_S)
    waiting = Job(gate, GB, check)
    assert waits(waiting)
    cancelled.set()
    begin = time.monotonic()
    waiting.join(WAIT_S)
    assert time.monotonic() - begin < 1
    assert isinstance(waiting.error, Cancelled)
    running.end()


def test_where_the_memory_is_unknown_every_job_runs() -> None:
    """On Windows and macOS."""
    with MemoryGate(lambda: None).admit(10**15, ignore):
        pass


def write(folder: Path, **files: object) -> None:
    """Write a cgroup's files; a double underscore stands for the dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(f"{content}\n")


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """An empty /proc."""
    (tmp_path / "proc/self").mkdir(parents=True)
    return tmp_path / "proc"


def test_the_limit_of_every_cgroup_of_version_2_counts_and_page_cache_is_free(
    tmp_path: Path, proc: Path
) -> None:
    """A service's limit may be set on a slice above it; the kernel drops cached files first."""
    (proc / "self/cgroup").write_text("0::/a/b\n")
    root = tmp_path / "cgroup"
    write(root / "a", memory__max=1000, memory__current=900, memory__stat="inactive_file 30\nactive_file 20")
    write(root / "a/b", memory__max="max", memory__current=800)
    assert list(available_memory.read_cgroup_bytes(proc, root)) == [150]


def test_the_cgroup_of_version_1_counts_also_with_the_hosts_path(tmp_path: Path, proc: Path) -> None:
    """Within a container, /proc holds the host's path, which does not exist there."""
    (proc / "self/cgroup").write_text("5:cpu,memory:/docker/0123\n4:cpuset:/\n")
    files = {"memory__limit_in_bytes": 1000, "memory__usage_in_bytes": 900}
    write(tmp_path / "cgroup/memory", **files, memory__stat="total_inactive_file 40")
    assert list(available_memory.read_cgroup_bytes(proc, tmp_path / "cgroup")) == [140]


def test_the_systems_available_memory_counts(proc: Path) -> None:
    """Without a limit, other programs have a share of it."""
    (proc / "meminfo").write_text("MemTotal: 8000 kB\nMemAvailable:    4000 kB\n")
    assert list(available_memory.read_system_bytes(proc)) == [4_096_000]


def test_the_available_memory_of_this_machine_is_plausible() -> None:
    """Whatever its limits."""
    available_bytes = available_memory.measure_available_bytes()
    assert available_bytes is None or 10**7 < available_bytes < 10**14
