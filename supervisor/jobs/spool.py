"""The spool: a folder per job for its uploads, its result, and the records of what became of it.

A durable spool answers for its jobs across restarts: one that was accepted is queued again, or it has ended
and its result is there until it expires. Two atomic renames are the commits: of `job.json` when a job is
accepted, of `end.json` when it ends. `docs/architecture.md` has the states of a folder.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.errors import BgremoveError, Expired, StorageFailed
from shared.formats import MEDIA_TYPES, SIGNATURE_BYTES, detect_format, result_name
from shared.messages import RemovalJob, RemovalResult
from supervisor.jobs import records
from supervisor.jobs.filenames import name_stem
from supervisor.jobs.job import BACKGROUND, SOURCE, Job
from supervisor.jobs.records import EndedRecord, ErrorRecord, StoredFileRecord
from supervisor.jobs.result import Result
from supervisor.jobs.run_directory import delete_folder
from supervisor.platform.private_dir import make_private_dir
from supervisor.tasks.ids import missing_id_error, new_id

RESULT = "result"  # name of the file that the worker writes
DELETED = ".deleted"  # ending of a folder that is being deleted
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
    """One folder per job, in `folder`. Only a `durable` one writes records, and not for synchronous jobs."""

    def __init__(self, folder: Path, retention_s: float, *, durable: bool = False) -> None:
        self.folder = folder
        self.durable = durable
        self.next_number = 1
        self._retention_s = retention_s
        self._results: dict[str, Result] = {}
        self._files: dict[str, StoredFile] = {}
        self._by_job: dict[str, list[str]] = {}
        self._undeleted: set[Path] = set()  # folders that the system did not let go of yet

    def path(self, job_id: str, name: str) -> Path:
        """Return the path of a file in a job's folder."""
        return self.folder / job_id / name

    def keeps(self, job: Job) -> bool:
        """Whether the job outlives this process: its client can ask for it later."""
        return self.durable and not job.synchronous

    async def accept(self, job: Job, images: Mapping[str, SaveImage]) -> None:
        """Save the uploaded images in the job's folder, and record the job. Raises StorageFailed."""
        number, self.next_number = self.next_number, self.next_number + 1
        await asyncio.to_thread(self._accept, job, number, images)

    def _accept(self, job: Job, number: int, images: Mapping[str, SaveImage]) -> None:
        make_private_dir(self.folder / job.id)
        try:
            for name, save in images.items():
                save(self.path(job.id, name))
            if self.keeps(job):
                for name in images:
                    records.sync_file(self.path(job.id, name))
                records.write_accepted(self.folder / job.id, job, number)
                records.sync_folder(self.folder)
        except OSError as error:
            raise StorageFailed("The upload could not be stored: check the free disk space.") from error

    async def update(self, job: Job) -> None:
        """Record a job whose remote images are in its folder now. Raises StorageFailed."""
        if self.keeps(job):
            await asyncio.to_thread(self._update, job)

    def _update(self, job: Job) -> None:
        folder = self.folder / job.id
        try:
            accepted = records.read_accepted(folder)
            records.sync_file(folder / SOURCE)
            records.write_accepted(folder, job, accepted["number"] if accepted else 0)
        except OSError as error:
            raise StorageFailed("The image could not be stored: check the free disk space.") from error

    async def mark_attempt(self, job: Job) -> None:
        """Record that a worker is about to get the job, which may end this machine. Raises StorageFailed."""
        if self.keeps(job):
            try:
                await asyncio.to_thread(records.mark_attempt, self.folder / job.id, job.attempt + 1)
            except OSError as error:
                raise StorageFailed from error

    async def unmark_attempt(self, job: Job) -> None:
        """Take back the record of an attempt that was interrupted on request."""
        if self.keeps(job):
            await asyncio.to_thread(records.unmark_attempt, self.folder / job.id, job.attempt + 1)

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

    async def finish(
        self, job: Job, made: RemovalResult, timings_ms: Mapping[str, float], logs: list[str]
    ) -> Result:
        """Publish a job's image and result for download until the job expires, and return the result.

        Raises StorageFailed.
        """
        source = self.path(job.id, SOURCE)
        media_type = await asyncio.to_thread(_media_type, source)
        name = result_name(name_stem(job.file_name), job.options.output, made.format)
        files = [
            StoredFileRecord(id=new_id(), name=SOURCE, media_type=media_type, download_name=job.file_name),
            StoredFileRecord(
                id=new_id(), name=RESULT, media_type=MEDIA_TYPES[made.format], download_name=name
            ),
        ]
        original, cutout = (file["id"] for file in files)
        result = Result(
            task_id=job.id,
            status="complete",
            original_file_id=original,
            original_url=f"/api/v1/files/{original}",
            result_file_id=cutout,
            result_url=f"/api/v1/files/{cutout}",
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
        if self.keeps(job):
            await self._record_end(job.id, result, files, None, logs)
        self._publish(job.id, result, files)
        return result

    async def fail(self, job: Job, error: BgremoveError, logs: list[str]) -> None:
        """Delete a failed job's files; record its error, if clients may ask for it later."""
        if not self.keeps(job):
            await self.delete(job.id)
            return
        try:
            await self._record_end(job.id, None, [], ErrorRecord(code=error.code, detail=error.detail), logs)
        except StorageFailed as full:  # the job will be repeated after a restart
            log.error("failure not recorded", extra={"task_id": job.id, "reason": str(full.__cause__)})  # noqa: TRY400
        await asyncio.to_thread(_delete_images, self.folder / job.id)

    async def _record_end(
        self,
        job_id: str,
        result: Result | None,
        files: list[StoredFileRecord],
        error: ErrorRecord | None,
        logs: list[str],
    ) -> None:
        record = EndedRecord(
            format=records.FORMAT,
            expires_at=time.time() + self._retention_s,
            logs=logs,
            result=result,
            files=files,
            error=error,
        )
        await asyncio.to_thread(self._write_end, self.folder / job_id, record)

    def _write_end(self, folder: Path, record: EndedRecord) -> None:
        try:
            if record["result"] is not None:
                records.sync_file(folder / RESULT)
            records.write_ended(folder, record)
        except OSError as error:
            raise StorageFailed from error

    def _publish(self, job_id: str, result: Result, files: list[StoredFileRecord]) -> None:
        self._results[job_id] = result
        self._by_job[job_id] = [file["id"] for file in files]
        for file in files:
            path = self.path(job_id, file["name"])
            self._files[file["id"]] = StoredFile(file["id"], path, file["media_type"], file["download_name"])

    def restore(self, job_id: str, record: EndedRecord) -> None:
        """Publish the result of a job that ended before this service started."""
        if record["result"] is not None:
            self._publish(job_id, record["result"], record["files"])

    def result(self, job_id: str) -> Result:
        """Return the result of a job that succeeded. Raises Expired when its files are deleted."""
        if job_id not in self._results:
            raise Expired
        return self._results[job_id]

    def file(self, file_id: str) -> StoredFile:
        """Return the file of that id. Raises NotFound, or Expired for a deleted one."""
        stored = self._files.get(file_id)
        if stored is None:
            raise missing_id_error("file", file_id, self._retention_s)
        if not stored.path.is_file():
            raise Expired
        return stored

    async def withdraw(self, job_id: str) -> None:
        """Delete a finished job's images and result before they expire; that it ended stays known."""
        kept = self._results.pop(job_id, None) is not None and self.path(job_id, records.ENDED).exists()
        if kept:
            await self._record_end(job_id, None, [], None, [])
            await asyncio.to_thread(_delete_images, self.folder / job_id)
        else:
            await self._delete(self.folder / job_id)

    async def delete(self, job_id: str) -> None:
        """Delete everything of a job."""
        self._results.pop(job_id, None)
        for file_id in self._by_job.pop(job_id, ()):
            del self._files[file_id]
        await self._delete(self.folder / job_id)

    async def delete_leftovers(self) -> None:
        """Delete the folders that could not be deleted before."""
        for folder in list(self._undeleted):
            await self._delete(folder)

    async def _delete(self, folder: Path) -> None:
        # On Windows a file that is being downloaded cannot be deleted: the next clean-up does it.
        if await asyncio.to_thread(_delete_job, folder):
            self._undeleted.discard(folder)
        else:
            self._undeleted.add(folder)


def _media_type(image: Path) -> str:
    with image.open("rb") as file:
        known = detect_format(file.read(SIGNATURE_BYTES))
    return known.media_type if known else "application/octet-stream"


def _delete_job(folder: Path) -> bool:
    """Delete a job's folder, and return whether that was all.

    First it is renamed: a crash in between must not leave a job's record without its image.
    """
    doomed = folder.with_name(folder.name + DELETED)
    try:
        folder.rename(doomed)
    except FileNotFoundError:
        pass
    except OSError:
        return delete_folder(folder)
    return delete_folder(doomed)


def _delete_images(folder: Path) -> None:
    for path in folder.glob("*"):
        if path.suffix != ".json":
            with contextlib.suppress(OSError):  # in use, on Windows: deleted when the job expires
                path.unlink()
