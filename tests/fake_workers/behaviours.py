"""One function a behaviour: each is an entry point for a worker process.

A photo's bytes can say what to do, so that one test can mix behaviours: see `obey`.
"""

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from shared.messages import Cancel, Failed, LoadFailed, Loading, Progress, RemovalJob, WorkerConfig
from tests.fake_workers.talk import finish, jobs


def answers(commands: Connection, events: Any, _: WorkerConfig) -> None:
    """Every removal succeeds at once."""
    for job in jobs(commands, events):
        finish(job, events)


def obeys(commands: Connection, events: Any, _: WorkerConfig) -> None:
    """Do what each photo says."""
    for job in jobs(commands, events):
        obey(job, events)


def obey(job: RemovalJob, events: Any) -> None:
    """Do what the photo's bytes say after its PNG signature; a photo that says nothing succeeds."""
    wish, argument = [*Path(job.source_path).read_bytes()[8:].decode().split(" ", 1), ""][:2]
    match wish:
        case "fail":
            events.put(Failed(job.task_id, "damaged_image", "The image is damaged or cut short."))
            return
        case "exit":
            os._exit(int(argument))
        case "signal":
            os.kill(os.getpid(), getattr(signal, argument))
        case "crash-once" if not (marker := Path(argument)).exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGSEGV)
        case "stop-once" if not (marker := Path(argument)).exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGSTOP)
        case "sleep":
            events.put(Progress(job.task_id, 45, "Sleeping"))
            time.sleep(float(argument))
        case "flood":
            flood(events, partial(Progress, job.task_id), float(argument))
    finish(job, events)


def flood(events: Any, make_event: Callable[[float, str], object], seconds: float) -> None:
    """Tell of progress as fast as the queue takes it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for percent in range(100):
            events.put(make_event(percent, f"flooding {percent}"))


def dies_at_import(*_: object) -> None:
    """End as a worker does whose library is missing."""
    raise ModuleNotFoundError("No module named 'onnxruntime'")


def dies_in_load(_commands: Connection, events: Any, _config: WorkerConfig) -> None:
    """Crash in the middle of the load."""
    events.put(Loading(50, "Loading the model"))
    os.kill(os.getpid(), signal.SIGSEGV)


def fails_to_load_and_dies(_commands: Connection, events: Any, _config: WorkerConfig) -> None:
    """Say why the load fails, and be gone before anybody can have read it."""
    events.put(Loading(50, "Loading the model"))
    events.put(LoadFailed("out_of_memory", "There is not enough memory for the model."))
    os._exit(0)


def answers_and_dies(commands: Connection, events: Any, _: WorkerConfig) -> None:
    """Finish one removal, and be gone before anybody can have read of it."""
    finish(next(jobs(commands, events)), events)
    os._exit(3)


def loads_slowly(commands: Connection, events: Any, config: WorkerConfig) -> None:
    """Take a while to load, with signs of progress, then obey."""
    for percent in range(0, 100, 5):
        events.put(Loading(percent, "Loading the model"))
        time.sleep(0.1)
    obeys(commands, events, config)


def loads_in_a_flood(commands: Connection, events: Any, config: WorkerConfig) -> None:
    """Tell far more of the load than anybody can read, then obey."""
    flood(events, Loading, 0.5)
    obeys(commands, events, config)


def answers_late(commands: Connection, events: Any, _config: WorkerConfig) -> None:
    """Stop a removal when cancelled, and send its result all the same while the next one runs."""
    late: RemovalJob | None = None
    for job in jobs(commands, events):
        if late is not None:
            finish(late, events)
        if b"late" in Path(job.source_path).read_bytes():
            late = job
            while not isinstance(commands.recv(), Cancel):
                pass
            events.put(Failed(job.task_id, "cancelled", "The task was cancelled."))
            late = RemovalJob(job.task_id, __file__, os.devnull, job.options)
        else:
            time.sleep(0.5)
            finish(job, events)


def hangs_in_load(_commands: Connection, events: Any, _config: WorkerConfig) -> None:
    """Begin to load, and say no more."""
    events.put(Loading(50, "Loading the model"))
    time.sleep(3600)


def never_ready(commands: Connection, _events: Any, _config: WorkerConfig) -> None:
    """Come up, and say nothing."""
    commands.recv()
    time.sleep(3600)
