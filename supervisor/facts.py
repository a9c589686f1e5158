"""Facts about processes, as the status tells them."""

from typing_extensions import TypedDict

from supervisor.memory import rss_bytes
from supervisor.worker_generation import WorkerExit
from supervisor.worker_manager import WorkerManager


class WorkerStatus(TypedDict):
    """A worker process: where it stands, what it holds, how the last one ended."""

    state: str
    pid: int | None
    generation: int
    restarts: int
    rss_bytes: int | None
    device_memory_bytes: int | None
    last_exit: WorkerExit | None
    problem: str | None


def worker_status(worker: WorkerManager) -> WorkerStatus:
    """Describe a worker; its memory is asked of the operating system."""
    pid = worker.pid
    return {
        "state": worker.state,
        "pid": pid,
        "generation": worker.starts,
        "restarts": max(0, worker.starts - 1),
        "rss_bytes": rss_bytes(pid) if pid else None,
        "device_memory_bytes": None,
        "last_exit": worker.last_exit,
        "problem": worker.problem,
    }
