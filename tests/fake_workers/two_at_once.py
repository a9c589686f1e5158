"""Workers that take two removals at a time, and hold memory of a device's, as a model on a GPU does."""

import threading
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from shared.messages import Failed, RemovalJob, WorkerConfig
from tests.fake_workers.behaviours import obey
from tests.fake_workers.talk import MODEL, finish, jobs

DEVICE_MEMORY_BYTES = 7_000_000_000
TWO = replace(MODEL, max_concurrency=2, device_memory_bytes=DEVICE_MEMORY_BYTES)


def in_pairs(commands: Connection, events: Any, _: WorkerConfig) -> None:
    """Finish photos by twos: one that is alone waits until it is not."""
    given = jobs(commands, events, TWO)
    for pair in zip(given, given, strict=False):
        for job in pair:
            finish(job, events)


def obeys(commands: Connection, events: Any, _: WorkerConfig) -> None:
    """Do what each photo says, on a thread of its own."""
    for job in jobs(commands, events, TWO):
        threading.Thread(target=_obey, args=(job, events), daemon=True).start()


def _obey(job: RemovalJob, events: Any) -> None:
    try:
        obey(job, events)
    except OSError:  # the files of a cancelled job are deleted
        events.put(Failed(job.task_id, "storage_failed", "The result could not be stored."))


def in_turn(commands: Connection, events: Any, _: WorkerConfig) -> None:
    """Take three removals and run one after the other, as if there was memory for one only."""
    for job in jobs(commands, events, replace(MODEL, max_concurrency=3)):
        obey(job, events)
