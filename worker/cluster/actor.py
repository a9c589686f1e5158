"""The actor: one loaded model in a process of a node, which takes photos and gives results as bytes.

Imported by Ray on each node: the node needs this project's checkout, of the same version, on its PYTHONPATH.
"""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from shared.errors import BgremoveError, ModelUnavailable, OutOfMemory, StorageFailed, WorkerStartFailed
from shared.messages import Event, Failed, Finished, ModelInfo, Progress, RemovalJob, WorkerConfig
from shared.version import VERSION
from worker.cluster.file_access import read_file, write_file
from worker.engines import loaders
from worker.imaging import decode
from worker.imaging.parallel import limit_cores
from worker.inference_thread import InferenceThread
from worker.runner import JobRunner, max_concurrency

PROGRESS_INTERVAL_S = 0.2
DATA_DIR_VARIABLE = "BGREMOVE_DATA_DIR"


@dataclass(frozen=True, slots=True)
class ActorReport:
    """What an actor has to offer: its version, and its model, or why that is not loaded."""

    version: str
    pid: int
    model: ModelInfo | None
    code: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RemoteEvent:
    """An event of a job, and the result's bytes with the last one."""

    event: Event
    result: bytes | None = None


class RemovalActor:
    """Loads the model when it is made, also when Ray makes it again after a crash."""

    def __init__(self, config: WorkerConfig, data_dir: str) -> None:
        limit_cores(config.threads)
        decode.configure()
        self._model = InferenceThread()
        self._events: dict[str, asyncio.Queue[Event]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._runner: JobRunner | None = None
        try:
            local = replace(config, model_path=str(find_model_path(Path(config.model_path), Path(data_dir))))
            self._model.load(lambda: loaders.load(local, lambda _percent, _message: None))
        except BgremoveError as error:
            self._report = ActorReport(VERSION, os.getpid(), None, error.code, error.detail)
            return
        except MemoryError:
            detail = "There is not enough memory for the model."
            self._report = ActorReport(VERSION, os.getpid(), None, OutOfMemory.code, detail)
            return
        info = self._model.model_info
        threads = max_concurrency(info.device)
        self._report = ActorReport(VERSION, os.getpid(), replace(info, max_concurrency=threads))
        self._runner = JobRunner(ThreadPoolExecutor(threads, "removal"), self._model, self, config.max_pixels)

    async def report(self) -> ActorReport:
        """Return the version and the model, or why it is not loaded."""
        return self._report

    async def remove(
        self, job: RemovalJob, photo: bytes, background: bytes | None
    ) -> AsyncIterator[RemoteEvent]:
        """Remove the background of a photo; yield its progress, and at last its end."""
        runner = self._runner
        if runner is None:  # it was made again, without memory for the model
            yield RemoteEvent(Failed(job.task_id, WorkerStartFailed.code, self._report.detail))
            return
        self._loop = asyncio.get_running_loop()
        queue = self._events[job.task_id] = asyncio.Queue()
        folder = Path(tempfile.mkdtemp(prefix="bgremove-"))
        last_s = 0.0
        try:
            local = await asyncio.to_thread(_store, folder, job, photo, background)
            runner.submit(local)
            while True:
                event = await queue.get()
                if isinstance(event, Finished):
                    result = await asyncio.to_thread(Path(local.result_path).read_bytes)
                    yield RemoteEvent(event, result)
                    return
                if isinstance(event, Failed):
                    yield RemoteEvent(event)
                    return
                if time.monotonic() >= last_s + PROGRESS_INTERVAL_S:
                    last_s = time.monotonic()
                    yield RemoteEvent(event)
        finally:
            del self._events[job.task_id]
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def remove_file(self, job: RemovalJob, source: str, target: str, background: bytes | None) -> Event:
        """Remove the background of a file that this node can read, write the result, and return the end.

        `background` is the content of an image to put behind the subject.
        """
        try:
            photo = await asyncio.to_thread(read_file, source)
        except Exception as error:  # noqa: BLE001  # each file system has errors of its own
            return Failed(job.task_id, StorageFailed.code, f"The photo cannot be read: {error}")
        last = None
        async for remote in self.remove(job, photo, background):
            last = remote
        if last is None or last.result is None:
            return last.event if last else Failed(job.task_id, WorkerStartFailed.code, "There is no result.")
        try:
            await asyncio.to_thread(write_file, target, last.result)
        except Exception as error:  # noqa: BLE001  # as above
            return Failed(job.task_id, StorageFailed.code, f"The result cannot be written: {error}")
        return last.event

    async def cancel(self, task_id: str) -> None:
        """Stop a job at its next step."""
        if self._runner is not None:
            self._runner.cancel(task_id)

    def put(self, event: Event) -> None:
        """Take an event of the runner's threads to its job."""
        if isinstance(event, Progress | Finished | Failed) and self._loop is not None:
            self._loop.call_soon_threadsafe(self._events[event.task_id].put_nowait, event)


def find_model_path(path: Path, data_dir: Path) -> Path:
    """Return the path of the model on this node: where it is in the service's data folder, in this node's.

    Raises ModelUnavailable.
    """
    own = os.environ.get(DATA_DIR_VARIABLE)
    if own and path.is_relative_to(data_dir):
        path = Path(own).expanduser() / path.relative_to(data_dir)
    if not path.exists():
        raise ModelUnavailable(f"The model is not on this node: download it there ({path.name}).")
    return path


def _store(folder: Path, job: RemovalJob, photo: bytes, background: bytes | None) -> RemovalJob:
    """Write a job's photos to a folder of its own, and return the job with the paths there."""
    source, behind = folder / "source", folder / "background"
    source.write_bytes(photo)
    if background is not None:
        behind.write_bytes(background)
    return replace(
        job,
        source_path=str(source),
        result_path=str(folder / "result"),
        background_path=None if background is None else str(behind),
    )
