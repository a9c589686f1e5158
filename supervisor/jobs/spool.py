"""The spool: a folder per job for its uploads and its result, with expiry."""

import asyncio
import logging
import os
import secrets
import shutil
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from shared.errors import Expired, StorageFailed
from shared.formats import MEDIA_TYPES, SIGNATURE_BYTES, detect_format, result_name
from shared.messages import RemovalJob, RemovalResult
from supervisor.jobs.filenames import name_stem
from supervisor.jobs.job import BACKGROUND, SOURCE, Job
from supervisor.jobs.result import Result
from supervisor.platform.private_dir import is_owned_or_free, make_private_dir
from supervisor.tasks.tombstones import Tombstones

ORPHAN_AGE_S = 3600
RESULT = "result"  # name of the file that the worker writes
log = logging.getLogger("supervisor.spool")

# Writes an image to a path, on a thread.
SaveImage = Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that clients may download."""

    id: str
    path: Path
    media_type: str
    download_name: str


class Spool:
    """One folder per job, in a run directory of this supervisor.

    The run directory's name has this process's id and start time, so that a later supervisor can tell the
    orphaned directory of a killed one from that of a running one, and a random part, so that no other user
    can make it first in a folder that several may write to.
    """

    def __init__(self, temp_dir: Path, retention_s: float) -> None:
        self._temp_dir = temp_dir
        self._retention_s = retention_s
        started_ms = int(psutil.Process().create_time() * 1000)
        self.folder = temp_dir / f"run-{os.getpid()}-{started_ms}-{secrets.token_hex(8)}"
        self._results: dict[str, Result] = {}
        self._files: dict[str, StoredFile] = {}
        self._by_job: dict[str, list[str]] = {}
        self._tombstones = Tombstones("file")
        self._undeleted: set[Path] = set()  # folders that the system did not let go of yet

    def path(self, job_id: str, name: str) -> Path:
        """Return the path of a file in a job's folder."""
        return self.folder / job_id / name

    async def accept(self, job: Job, images: Mapping[str, SaveImage]) -> None:
        """Make the job's folder and save its uploaded images there. Raises StorageFailed."""
        await asyncio.to_thread(self._accept, job, images)

    def _accept(self, job: Job, images: Mapping[str, SaveImage]) -> None:
        make_private_dir(self.folder / job.id)
        try:
            for name, save in images.items():
                save(self.path(job.id, name))
        except OSError as error:
            raise StorageFailed("The temporary folder cannot take the upload.") from error

    def message(self, job: Job) -> RemovalJob:
        """Return the message about a job to its worker, with the paths of the job's files."""
        return RemovalJob(
            task_id=job.id,
            source_path=str(self.path(job.id, SOURCE)),
            result_path=str(self.path(job.id, RESULT)),
            options=job.options,
            background_path=str(self.path(job.id, BACKGROUND)) if job.background else None,
            stem=name_stem(job.file_name),
        )

    async def finish(self, job: Job, made: RemovalResult, timings_ms: Mapping[str, float]) -> Result:
        """Publish a job's image and result for download until the job expires, and return the result."""
        source = self.path(job.id, SOURCE)
        stem, media_type = name_stem(job.file_name), await asyncio.to_thread(_media_type, source)
        original = self._publish(job.id, source, media_type, job.file_name)
        name = result_name(stem, job.options.output, made.format)
        cutout = self._publish(job.id, self.path(job.id, RESULT), MEDIA_TYPES[made.format], name)
        result = self._results[job.id] = Result(
            task_id=job.id,
            status="complete",
            original_file_id=original.id,
            original_url=f"/api/v1/files/{original.id}",
            result_file_id=cutout.id,
            result_url=f"/api/v1/files/{cutout.id}",
            width=made.width,
            height=made.height,
            format=made.format,
            subject=made.subject,
            coverage=made.coverage,
            box=made.box,
            frame=made.frame,
            photo_width=made.photo_width,
            photo_height=made.photo_height,
            scale_factor=made.scale_factor,
            warnings=list(made.warnings),
            model_id=made.model_id,
            device=made.device,
            timings_ms=dict(timings_ms),
            expires_at=round(time.time() + self._retention_s, 3),
        )
        return result

    def _publish(self, job_id: str, path: Path, media_type: str, download_name: str) -> StoredFile:
        stored = StoredFile(uuid.uuid4().hex, path, media_type, download_name)
        self._files[stored.id] = stored
        self._by_job.setdefault(job_id, []).append(stored.id)
        return stored

    def result(self, job_id: str) -> Result:
        """Return the result of a job that succeeded. Raises Expired when its files are deleted."""
        if job_id not in self._results:
            raise Expired
        return self._results[job_id]

    def file(self, file_id: str) -> StoredFile:
        """Return the file of that id. Raises NotFound, or Expired for a deleted one."""
        stored = self._files.get(file_id)
        if stored is None:
            raise self._tombstones.error(file_id)
        if not stored.path.is_file():
            raise Expired
        return stored

    async def delete(self, job_id: str) -> None:
        """Delete a job's result and files."""
        self._results.pop(job_id, None)
        for file_id in self._by_job.pop(job_id, ()):
            del self._files[file_id]
            self._tombstones.add(file_id)
        await self._delete(self.folder / job_id)

    async def delete_orphans(self) -> None:
        """Delete the run directories of killed supervisors, and folders that could not be deleted before."""
        await asyncio.to_thread(self._delete_orphans)
        for folder in list(self._undeleted):
            await self._delete(folder)

    def heartbeat(self) -> None:
        """Touch the run directory, so that other supervisors and cleaners of temporary folders keep it.

        They cannot tell it by process id and start time from another container, or once the clock is set.
        """
        os.utime(make_private_dir(self.folder))

    async def clear(self) -> None:
        """Delete every file of this supervisor, at its shutdown."""
        await asyncio.to_thread(_delete, self.folder)

    async def _delete(self, folder: Path) -> None:
        # On Windows a file that is being downloaded cannot be deleted: the next clean-up does it.
        if await asyncio.to_thread(_delete, folder):
            self._undeleted.discard(folder)
        else:
            self._undeleted.add(folder)

    def _delete_orphans(self) -> None:
        for folder in self._temp_dir.glob("run-*-*"):
            try:
                _, pid, started_ms, *_ = folder.name.split("-")
                recent = time.time() - folder.stat().st_mtime < ORPHAN_AGE_S
                # Its own by name: once the system's clock is set, no process has the start time that it had.
                if folder == self.folder or recent or _is_alive(int(pid), int(started_ms)):
                    continue
                if not is_owned_or_free(folder):
                    continue
            except (ValueError, OSError):
                continue
            log.info("orphaned run directory deleted", extra={"folder": folder.name})
            _delete(folder)


def _media_type(image: Path) -> str:
    with image.open("rb") as file:
        known = detect_format(file.read(SIGNATURE_BYTES))
    return known.media_type if known else "application/octet-stream"


def _delete(folder: Path) -> bool:
    """Delete what can be deleted; return whether that was all."""
    shutil.rmtree(folder, ignore_errors=True)
    return not os.path.exists(folder)  # noqa: PTH110  # pathlib raises for one that is being deleted


def _is_alive(pid: int, started_ms: int) -> bool:
    try:
        return abs(psutil.Process(pid).create_time() * 1000 - started_ms) < 1000
    except psutil.Error:
        return False
