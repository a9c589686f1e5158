"""Runs removal jobs on a thread pool, cancels them, and reports each outcome as an event."""

import logging
import os
import threading
import time
from concurrent.futures import Executor
from dataclasses import replace
from typing import Protocol

from shared.errors import BgremoveError, Cancelled, OutOfMemory, StorageFailed
from shared.messages import Event, Failed, Finished, Progress, RemovalJob
from worker import pipeline
from worker.engines import DeviceContextLost
from worker.imaging.memory_estimate import estimate_removal_bytes
from worker.imaging.parallel import available_cores
from worker.inference_thread import InferenceThread
from worker.malloc import release_freed_memory
from worker.memory_gate import LARGE_JOB_BYTES, MemoryGate

log = logging.getLogger("worker")

# On a CPU, one image is decoded or encoded while another one is inferred; more jobs would only hold memory.
# A GPU infers faster than one core decodes and encodes: as many jobs as cores, within a memory bound.
MIN_CONCURRENCY, MAX_CONCURRENCY = 2, 8
EXIT_DEVICE_CONTEXT_LOST = 70  # EX_SOFTWARE of sysexits.h


def max_concurrency(device: str) -> int:
    """Return how many concurrent removals keep the inference device busy."""
    if device == "cpu":
        return MIN_CONCURRENCY
    return min(max(available_cores(), MIN_CONCURRENCY), MAX_CONCURRENCY)


class EventSink(Protocol):
    """Where the outcomes of jobs go, from any thread."""

    def put(self, event: Event) -> None:
        """Take an event."""


class JobRunner:
    """Runs removal jobs, as many as the memory allows, and tracks the unfinished ones for cancellation."""

    def __init__(
        self,
        pool: Executor,
        model: InferenceThread,
        events: EventSink,
        max_pixels: int,
        gate: MemoryGate | None = None,
    ) -> None:
        self._pool = pool
        self._model = model
        self._events = events
        self._max_pixels = max_pixels
        self._gate = gate or MemoryGate()
        self._cancelled: dict[str, threading.Event] = {}

    def submit(self, job: RemovalJob) -> None:
        """Queue a job on the thread pool."""
        cancelled = self._cancelled[job.task_id] = threading.Event()
        self._pool.submit(self._run, job, cancelled)

    def cancel(self, task_id: str) -> None:
        """Stop a job at its next step; does nothing for a finished job."""
        if cancelled := self._cancelled.get(task_id):
            cancelled.set()

    def _run(self, job: RemovalJob, cancelled: threading.Event) -> None:
        outcome = self._process(job, cancelled)
        del self._cancelled[job.task_id]
        self._events.put(outcome)

    def _process(self, job: RemovalJob, cancelled: threading.Event) -> Finished | Failed:
        """Run one job and return its outcome. No error that an image causes may end the worker."""

        def check_cancelled() -> None:
            if cancelled.is_set():
                raise Cancelled

        def report(percent: float, message: str) -> None:
            check_cancelled()
            self._events.put(Progress(job.task_id, percent, message))

        try:
            submitted = time.perf_counter()
            need_bytes = estimate_removal_bytes(job, self._max_pixels)
            with self._gate.admit(need_bytes, check_cancelled):  # no progress before: it starts the timeout
                waited_ms = (time.perf_counter() - submitted) * 1000
                engine = self._model.create_proxy(check_cancelled)
                try:
                    result = pipeline.remove(job, engine, self._max_pixels, report)
                finally:
                    if need_bytes > LARGE_JOB_BYTES:
                        release_freed_memory()
            timings_ms = engine.separate_queue_time(result.timings_ms)
            timings_ms["queued"] = round(timings_ms["queued"] + waited_ms, 1)
            return Finished(job.task_id, replace(result, timings_ms=timings_ms))
        except BgremoveError as error:
            if isinstance(error, StorageFailed):
                log.warning("result not stored", extra={"reason": error.__cause__})
            return Failed(job.task_id, error.code, error.detail)
        except MemoryError:
            return Failed(job.task_id, OutOfMemory.code, OutOfMemory().detail)
        except DeviceContextLost:
            log.critical("CUDA context lost; exiting worker", exc_info=True)
            os._exit(EXIT_DEVICE_CONTEXT_LOST)  # from any thread: the job is retried in a new worker
        except Exception:
            log.exception("removal failed", extra={"task_id": job.task_id})
            return Failed(job.task_id, BgremoveError.code, "The photo could not be processed.")
