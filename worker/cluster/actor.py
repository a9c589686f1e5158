"""The actor: one loaded model in a process of a node, which takes photos and gives results as bytes.

Imported by Ray on each node: the node needs this project's checkout, of the same version, on its PYTHONPATH.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from shared.errors import BgremoveError, ModelUnavailable, OutOfMemory, StorageFailed, WorkerStartFailed
from shared.messages import Event, Failed, Finished, ModelInfo, Progress, RemovalJob, WorkerConfig
from shared.version import VERSION
from worker.cluster.byte_parts import MAX_PARTS, join_parts, split_bytes
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
class RemoteEnd:
    """The end of a job, and in how many of the following values its result is."""

    event: Finished | Failed
    parts: int = 0


class RemovalActor:
    """Loads the model when it is made, also when Ray makes it again after a crash."""

    def __init__(self, config: WorkerConfig, data_dir: str) -> None:
        limit_cores(config.threads)
        decode.configure()
        self._model = InferenceThread()
        self._ends: dict[str, asyncio.Future[Finished | Failed]] = {}
        self._progress: dict[str, Progress] = {}
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
        self, job: RemovalJob, background: bytes | None, mask: bytes | None, *photo_parts: bytes
    ) -> list[RemoteEnd | bytes | None]:
        """Remove the background of a photo; return its end, and `MAX_PARTS` parts of the result or None."""
        event, result = await self._remove(job, join_parts(photo_parts), background, mask)
        parts = [] if result is None else split_bytes(result)
        return [RemoteEnd(event, len(parts)), *parts, *[None] * (MAX_PARTS - len(parts))]

    async def follow_progress(self) -> AsyncIterator[list[Progress]]:
        """Yield the last progress of the jobs that run, at an interval: short ones end without any."""
        while True:
            await asyncio.sleep(PROGRESS_INTERVAL_S)
            if self._progress:
                events, self._progress = list(self._progress.values()), {}
                yield events

    async def remove_file(self, job: RemovalJob, source: str, target: str, background: bytes | None) -> Event:
        """Remove the background of a file that this node can read, write the result, and return the end.

        `background` is the content of an image to put behind the subject.
        """
        try:
            photo = await asyncio.to_thread(read_file, source)
        except Exception as error:  # noqa: BLE001  # each file system has errors of its own
            return Failed(job.task_id, StorageFailed.code, f"The photo cannot be read: {error}")
        event, result = await self._remove(job, photo, background)
        if result is None:
            return event
        try:
            await asyncio.to_thread(write_file, target, result)
        except Exception as error:  # noqa: BLE001  # as above
            return Failed(job.task_id, StorageFailed.code, f"The result cannot be written: {error}")
        return event

    async def cancel(self, task_id: str) -> None:
        """Stop a job at its next step."""
        if self._runner is not None:
            self._runner.cancel(task_id)

    def put(self, event: Event) -> None:
        """Take an event of the runner's threads to its job."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._handle, event)

    def _handle(self, event: Event) -> None:
        if isinstance(event, Progress) and event.task_id in self._ends:
            self._progress[event.task_id] = event
        elif isinstance(event, Finished | Failed) and event.task_id in self._ends:
            self._ends[event.task_id].set_result(event)

    async def _remove(
        self, job: RemovalJob, photo: bytes, background: bytes | None, mask: bytes | None = None
    ) -> tuple[Finished | Failed, bytes | None]:
        """Return the end of a removal, and the result if it has succeeded."""
        runner = self._runner
        if runner is None:  # it was made again, without memory for the model
            return Failed(job.task_id, WorkerStartFailed.code, self._report.detail), None
        self._loop = asyncio.get_running_loop()
        end = self._ends[job.task_id] = self._loop.create_future()
        folder = Path(tempfile.mkdtemp(prefix="bgremove-"))
        try:
            local = await asyncio.to_thread(_store, folder, job, photo, background, mask)
            runner.submit(local)
            event = await end
            if isinstance(event, Failed):
                return event, None
            return event, await asyncio.to_thread(Path(local.result_path).read_bytes)
        finally:
            del self._ends[job.task_id]
            self._progress.pop(job.task_id, None)
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


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


def _store(
    folder: Path, job: RemovalJob, photo: bytes, background: bytes | None, mask: bytes | None
) -> RemovalJob:
    """Write a job's photos to a folder of its own, and return the job with the paths there."""
    source, behind, matte = folder / "source", folder / "background", folder / "mask"
    source.write_bytes(photo)
    if background is not None:
        behind.write_bytes(background)
    if mask is not None:
        matte.write_bytes(mask)
    return replace(
        job,
        source_path=str(source),
        result_path=str(folder / "result"),
        background_path=None if background is None else str(behind),
        mask_path=None if mask is None else str(matte),
        alpha_path=None,  # it is not sent back: an edit infers it again
    )
