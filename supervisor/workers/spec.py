"""Data about a worker: how to start its process, its status, and how a process ended."""

from collections.abc import Callable
from dataclasses import dataclass

from typing_extensions import TypedDict

from shared.messages import NodeStatus, WorkerConfig
from supervisor.workers.state import WorkerState

# Called with the percentage, 0 to 100, and the current step.
OnProgress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """How to start a worker process: its entry point "package.module:function", its config, its timeouts."""

    entry: str
    config: WorkerConfig
    start_timeout_s: float
    load_timeout_s: float
    job_timeout_s: float


@dataclass(frozen=True, slots=True)
class WorkerExit:
    """How a worker process ended. `reason` is a code of `shared.errors`."""

    generation: int
    pid: int | None
    code: int | None
    signal: str | None
    reason: str
    detail: str
    stderr: list[str]
    at: str


class WorkerStatus(TypedDict):
    """A worker process: its state, the memory it holds, how the last one ended. `id` is `model@device`.

    `problem` is why no process is started any more, in a sentence. `nodes` are those of a cluster.
    """

    id: str
    model: str
    device: str
    state: WorkerState
    pid: int | None
    generation: int
    restarts: int
    rss_bytes: int | None
    device_memory_bytes: int | None
    jobs_done: int
    last_exit: WorkerExit | None
    problem: str | None
    nodes: list[NodeStatus]
