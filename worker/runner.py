"""Runs removal jobs on a thread pool and reports how each one ended."""

import logging
import os
import threading
from concurrent.futures import Executor
from dataclasses import replace

from shared.errors import BgremoveError, Cancelled, OutOfMemory, StorageFailed
from shared.messages import Failed, Finished, Progress, RemovalJob
from worker import pipeline
from worker.engines import DeviceLost
from worker.event_sender import EventSender
from worker.imaging.parallel import available_cores
from worker.inference_thread import InferenceThread

log = logging.getLogger("worker")

# A CPU has one photo decoded or encoded on one core while another is inferred; more would only hold memory.
# A GPU infers in less time than a core needs for any of the rest: as many cores as there are feed it, up to
# what their photos may take of memory.
REMOVALS_AT_ONCE, MOST_AT_ONCE = 2, 8
DEVICE_LOST = 70  # exit code: EX_SOFTWARE of sysexits.h


def max_concurrency(device: str) -> int:
    """Return how many removals keep the device that infers busy."""
    if device == "cpu":
        return REMOVALS_AT_ONCE
    return min(max(available_cores(), REMOVALS_AT_ONCE), MOST_AT_ONCE)


class JobRunner:
    """The removals that this worker has been given and has not finished."""

    def __init__(self, pool: Executor, model: InferenceThread, events: EventSender, max_pixels: int) -> None:
        self._pool = pool
        self._model = model
        self._events = events
        self._max_pixels = max_pixels
        self._cancelled: dict[str, threading.Event] = {}

    def begin(self, job: RemovalJob) -> None:
        """Do a removal as soon as a thread is free."""
        cancelled = self._cancelled[job.task_id] = threading.Event()
        self._pool.submit(self._run, job, cancelled)

    def cancel(self, task_id: str) -> None:
        """Stop a removal at its next step; one that has ended is left alone."""
        if cancelled := self._cancelled.get(task_id):
            cancelled.set()

    def _run(self, job: RemovalJob, cancelled: threading.Event) -> None:
        outcome = self._outcome(job, cancelled)
        del self._cancelled[job.task_id]
        self._events.put(outcome)

    def _outcome(self, job: RemovalJob, cancelled: threading.Event) -> Finished | Failed:
        """Do one removal and return how it ended; nothing that a photo can cause ends the worker."""

        def check() -> None:
            if cancelled.is_set():
                raise Cancelled

        def report(percent: float, message: str) -> None:
            check()
            self._events.put(Progress(job.task_id, percent, message))

        try:
            engine = self._model.engine(check)
            made = pipeline.remove(job, engine, self._max_pixels, report)
            return Finished(job.task_id, replace(made, timings_ms=engine.timed(made.timings_ms)))
        except BgremoveError as error:
            if isinstance(error, StorageFailed):
                log.warning("result not stored", extra={"reason": error.__cause__})
            return Failed(job.task_id, error.code, error.detail)
        except MemoryError:
            return Failed(job.task_id, OutOfMemory.code, OutOfMemory().detail)
        except DeviceLost:
            log.critical("the device is lost to this process", exc_info=True)
            os._exit(DEVICE_LOST)  # at once, on whichever thread: a new worker then tries the photo again
        except Exception:
            log.exception("removal failed", extra={"task_id": job.task_id})
            return Failed(job.task_id, BgremoveError.code, "The photo could not be processed.")
