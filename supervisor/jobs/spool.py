"""The spool: a folder per job for its uploads, its result, and the records of what became of it.

A durable spool answers for its jobs across restarts: one that was accepted is queued again, or it has ended
and its result is there until it expires. Two atomic renames are the commits: of `job.json` when a job is
accepted, of `end.json` when it ends. `docs/architecture.md` has the states of a folder.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from shared.errors import BgremoveError, StorageFailed
from shared.formats import MEDIA_TYPES, SIGNATURE_BYTES, detect_format, result_name
from shared.messages import RemovalJob, RemovalResult
from supervisor.jobs import records
from supervisor.jobs.deletion import FolderDeleter
from supervisor.jobs.end_commit import (
    commit_end,
    commit_end_without_images,
    describe_failure,
    describe_success,
)
from supervisor.jobs.filenames import name_stem
from supervisor.jobs.job import ALPHA, BACKGROUND, MASK, RESULT, SOURCE, Job
from supervisor.jobs.published import PublishedResults, StoredFile
from supervisor.jobs.records import EndedRecord, StoredFileRecord
from supervisor.jobs.result import Result, make_result
from supervisor.jobs.spool_claim import SpoolClaim
from supervisor.platform.private_dir import make_private_dir
from supervisor.platform.uncancelled import run_in_thread
from supervisor.tasks.ids import new_id

_NOT_STORED = "The image could not be stored: check the free disk space."
log = logging.getLogger("supervisor.spool")

# Writes an image to a path, on a thread.
SaveImage = Callable[[Path], None]


class Spool:
    """One folder per job, in `folder`. Only a `durable` one writes records, and not for synchronous jobs.

    `claim` is that of its folder, if other services may claim it.
    """

    def __init__(
        self, folder: Path, retention_s: float, *, durable: bool = False, claim: SpoolClaim | None = None
    ) -> None:
        self.folder = folder
        self.durable = durable
        self._claim = claim
        self.next_number = 1
        self._retention_s = retention_s
        self.results = PublishedResults(retention_s)
        self._syncing: set[asyncio.Future[None]] = set()
        self._deleter = FolderDeleter()

    def path(self, job_id: str, name: str) -> Path:
        """Return the path of a file in a job's folder."""
        return self.folder / job_id / name

    def keeps(self, job: Job) -> bool:
        """Whether the job outlives this process: its client can ask for it later."""
        return self.durable and not job.synchronous

    async def accept(self, job: Job, images: Mapping[str, SaveImage]) -> None:
        """Save the uploaded images in the job's folder, and record the job. Raises StorageFailed.

        Its client is told of it after `sync_accepted`; a worker may begin before that.
        """
        number, self.next_number = self.next_number, self.next_number + 1
        await run_in_thread(self._accept, job, number, images)

    def _accept(self, job: Job, number: int, images: Mapping[str, SaveImage]) -> None:
        if self._claim is not None:
            self._claim.renew()
        make_private_dir(self.folder / job.id)
        try:
            for name, save in images.items():
                save(self.path(job.id, name))
            if self.keeps(job):
                records.write_accepted(self.folder / job.id, job, number)
        except OSError as error:
            raise StorageFailed(_NOT_STORED) from error

    async def sync_accepted(self, job: Job, names: Iterable[str]) -> None:
        """Wait until an accepted job survives a loss of power. Raises StorageFailed."""
        if not self.keeps(job):
            return
        folder = self.folder / job.id
        try:
            await records.sync_all(
                *(folder / name for name in names), folder / records.ACCEPTED, folder, self.folder
            )
        except FileNotFoundError:
            return  # the job has ended meanwhile, and its image was deleted
        except OSError as error:
            raise StorageFailed(_NOT_STORED) from error

    async def update(self, job: Job) -> None:
        """Record a job whose remote images are in its folder now. Raises StorageFailed."""
        if not self.keeps(job):
            return
        folder = self.folder / job.id
        images = {SOURCE: job.image, BACKGROUND: job.background, MASK: job.mask}
        names = [name for name, image in images.items() if image is not None]
        try:
            # First: the record must not promise what may be lost.
            await records.sync_all(*(folder / name for name in names))
            await run_in_thread(self._rewrite_accepted, folder, job)
            await records.sync_all(folder / records.ACCEPTED, folder)
        except OSError as error:
            raise StorageFailed(_NOT_STORED) from error

    def _rewrite_accepted(self, folder: Path, job: Job) -> None:
        accepted = records.read_accepted(folder)
        records.write_accepted(folder, job, accepted["number"] if accepted else 0)

    async def mark_attempt(self, job: Job) -> None:
        """Record that a worker is about to get the job. Raises StorageFailed.

        The record reaches the disk while the worker begins: what ends a machine takes longer.
        """
        if not self.keeps(job):
            return
        folder = self.folder / job.id
        try:
            await run_in_thread(records.mark_attempt, folder, job.attempt + 1)
        except OSError as error:
            raise StorageFailed from error
        syncing = asyncio.ensure_future(records.sync_all(folder))
        self._syncing.add(syncing)
        syncing.add_done_callback(self._note_synced)

    def _note_synced(self, syncing: asyncio.Future[None]) -> None:
        self._syncing.discard(syncing)
        if not syncing.cancelled() and (error := syncing.exception()) is not None:
            log.warning("attempt not synced", extra={"reason": str(error)})

    async def unmark_attempt(self, job: Job) -> None:
        """Take back the record of an attempt that was interrupted on request; if it cannot be, it counts."""
        if self.keeps(job):
            with contextlib.suppress(OSError):
                await run_in_thread(records.unmark_attempt, self.folder / job.id, job.attempt + 1)

    async def mark_notified(self, job: Job, lines: list[str]) -> None:
        """Record that the job's webhook needs no further try, with the log of those made.

        Without the record it is tried again.
        """
        if self.keeps(job):
            with contextlib.suppress(OSError):
                await asyncio.to_thread(records.mark_notified, self.folder / job.id, lines)

    def message(self, job: Job) -> RemovalJob:
        """Return the message about a job to its worker, with the paths of the job's files."""
        return RemovalJob(
            task_id=job.id,
            source_path=str(self.path(job.id, SOURCE)),
            result_path=str(self.path(job.id, RESULT)),
            options=job.options,
            background_path=str(self.path(job.id, BACKGROUND)) if job.background else None,
            mask_path=str(self.path(job.id, MASK)) if job.mask else None,
            alpha_path=None if job.synchronous else str(self.path(job.id, ALPHA)),
            stem=name_stem(job.file_name),
            alone=job.exclusive,
        )

    async def finish(
        self, job: Job, made: RemovalResult, timings_ms: Mapping[str, float], logs: list[str]
    ) -> Result:
        """Publish a job's image and result for download until the job expires, and return the result.

        Raises StorageFailed.
        """
        try:
            media_type = await asyncio.to_thread(_media_type, self.path(job.id, SOURCE))
        except OSError as error:
            raise StorageFailed from error
        name = result_name(name_stem(job.file_name), job.options.output, made.format)
        files = [
            StoredFileRecord(id=new_id(), name=SOURCE, media_type=media_type, download_name=job.file_name),
            StoredFileRecord(
                id=new_id(), name=RESULT, media_type=MEDIA_TYPES[made.format], download_name=name
            ),
        ]
        original, cutout = (file["id"] for file in files)
        alpha = None
        if await asyncio.to_thread(self.path(job.id, ALPHA).is_file):
            alpha = new_id()
            name = result_name(name_stem(job.file_name), "alpha", "png")
            files.append(
                StoredFileRecord(id=alpha, name=ALPHA, media_type=MEDIA_TYPES["png"], download_name=name)
            )
        expires_at = time.time() + self._retention_s
        result = make_result(job.id, made, timings_ms, (original, cutout, alpha), expires_at)
        if self.keeps(job):
            record = describe_success(expires_at, logs, result, files)
            await commit_end(self.folder / job.id, record)
        self.results.publish(self.folder / job.id, job, result, files)
        return result

    async def fail(self, job: Job, error: BgremoveError, logs: list[str]) -> None:
        """Delete a failed job's files; record its error, if clients may ask for it later."""
        if not self.keeps(job):
            await self.delete(job.id)
            return
        record = describe_failure(time.time() + self._retention_s, logs, error)
        await commit_end_without_images(self.folder / job.id, record)

    def restore(self, job: Job, record: EndedRecord) -> None:
        """Publish the result of a job that ended before this service started."""
        if record["result"] is not None:
            self.results.publish(self.folder / job.id, job, record["result"], record["files"])
        else:
            self.results.restore_deleted(job.id, record["files"])

    def result(self, job_id: str) -> Result:
        """Return the result of a job that succeeded. Raises Expired when its files are deleted."""
        return self.results.result(job_id)

    def file(self, file_id: str) -> StoredFile:
        """Return the file of that id. Raises NotFound, or Expired for a deleted one."""
        return self.results.file(file_id)

    async def withdraw(self, job_id: str) -> None:
        """Delete a finished job's images and result before they expire; that it ended stays known."""
        folder = self.folder / job_id
        was_published = self.results.withdraw(job_id)
        ended = await asyncio.to_thread(records.read_ended, folder)
        if ended is None:
            await self._deleter.delete(folder)
        elif was_published:
            await commit_end_without_images(folder, EndedRecord({**ended, "result": None}))

    async def delete(self, job_id: str) -> None:
        """Delete everything of a job."""
        self.results.forget(job_id)
        await self._deleter.delete(self.folder / job_id)

    async def delete_leftovers(self) -> None:
        """Delete the folders that could not be deleted before."""
        await self._deleter.delete_leftovers()


def _media_type(image: Path) -> str:
    with image.open("rb") as file:
        known = detect_format(file.read(SIGNATURE_BYTES))
    return known.media_type if known else "application/octet-stream"
