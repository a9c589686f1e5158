"""The worker's command loop: load one model, say so, then do removals until the pipe closes."""

import logging
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.queues import SimpleQueue

from shared import logs
from shared.errors import BgremoveError, Cancelled, OutOfMemory
from shared.messages import (
    Cancel,
    Command,
    Event,
    Failed,
    Finished,
    LoadFailed,
    Loading,
    Progress,
    RemovalJob,
    Remove,
    WorkerConfig,
)
from worker import memory, pipeline
from worker.engines import Engine, OnLoading, loading

log = logging.getLogger("worker")


class Inbox:
    """The commands sent to this worker, and which removals among them were cancelled."""

    def __init__(self, commands: "Connection[Command, Command]") -> None:
        self._commands = commands
        self._jobs: deque[RemovalJob] = deque()
        self._cancelled: set[str] = set()

    def next_job(self) -> RemovalJob | None:
        """Wait for the next removal; None once the supervisor has closed the pipe."""
        try:
            while not self._jobs:
                self._receive()
        except EOFError:
            return None
        return self._jobs.popleft()

    def raise_if_cancelled(self, task_id: str) -> None:
        """Raise Cancelled when a Cancel for this removal has arrived. Never waits."""
        while self._commands.poll():
            self._receive()
        if task_id in self._cancelled:
            self._cancelled.clear()
            raise Cancelled

    def _receive(self) -> None:
        match self._commands.recv():
            case Remove(job):
                self._jobs.append(job)
            case Cancel(task_id):
                self._cancelled.add(task_id)


def serve(
    commands: "Connection[Command, Command]", events: "SimpleQueue[Event]", config: WorkerConfig
) -> None:
    """Entry point of every worker: serve the model that `config.loader` loads."""
    _serve(Inbox(commands), events, config, lambda on_loading: loading.load(config, on_loading))


def _serve(
    inbox: Inbox,
    events: "SimpleQueue[Event]",
    config: WorkerConfig,
    load: Callable[[OnLoading], Engine],
) -> None:
    logs.configure("warning")
    memory.keep_freed()
    try:
        engine = load(lambda percent, message: events.put(Loading(percent, message)))
    except BgremoveError as error:
        events.put(LoadFailed(error.code, error.detail))
        return
    except MemoryError:
        events.put(LoadFailed(OutOfMemory.code, "There is not enough memory for the model."))
        return
    events.put(engine.facts)
    while (job := inbox.next_job()) is not None:
        events.put(_removal(job, engine, inbox, events, config))


def _removal(
    job: RemovalJob, engine: Engine, inbox: Inbox, events: "SimpleQueue[Event]", config: WorkerConfig
) -> Finished | Failed:
    """Do one removal and return how it ended; nothing that a photo can cause ends the worker."""

    def report(percent: float, message: str) -> None:
        inbox.raise_if_cancelled(job.task_id)
        events.put(Progress(job.task_id, percent, message))

    try:
        return Finished(job.task_id, pipeline.remove(job, engine, config.max_pixels, report))
    except BgremoveError as error:
        return Failed(job.task_id, error.code, error.detail)
    except MemoryError:
        return Failed(job.task_id, OutOfMemory.code, OutOfMemory().detail)
    except Exception:
        log.exception("removal failed", extra={"task_id": job.task_id})
        return Failed(job.task_id, BgremoveError.code, "The photo could not be processed.")
