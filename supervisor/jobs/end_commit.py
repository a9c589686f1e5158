"""The commit of a job's end: its record `end.json`, synced to the disk together with the result."""

import contextlib
import logging
from pathlib import Path

from shared.errors import BgremoveError, StorageFailed
from supervisor.jobs import records
from supervisor.jobs.job import ALPHA, RESULT
from supervisor.jobs.records import FORMAT, EndedRecord, ErrorRecord, StoredFileRecord
from supervisor.jobs.result import Result
from supervisor.platform.uncancelled import run_in_thread

log = logging.getLogger("supervisor.spool")


def describe_success(
    expires_at: float, logs: list[str], result: Result, files: list[StoredFileRecord]
) -> EndedRecord:
    """Return the record of a job that succeeded."""
    return EndedRecord(
        format=FORMAT, expires_at=expires_at, logs=logs, result=result, files=files, error=None
    )


def describe_failure(expires_at: float, logs: list[str], error: BgremoveError) -> EndedRecord:
    """Return the record of a job that failed."""
    failure = ErrorRecord(code=error.code, detail=error.detail)
    return EndedRecord(format=FORMAT, expires_at=expires_at, logs=logs, result=None, files=[], error=failure)


async def commit_end(folder: Path, record: EndedRecord) -> None:
    """Record the end of the job in `folder`, and wait until it is on the disk. Raises StorageFailed."""
    names = {file["name"] for file in record["files"]} & {RESULT, ALPHA}
    results = [folder / name for name in names] if record["result"] is not None else []
    try:
        await run_in_thread(records.write_ended, folder, record)
        await records.sync_all(*results, folder / records.ENDED, folder)
    except OSError as error:
        raise StorageFailed from error


async def commit_end_without_images(folder: Path, record: EndedRecord) -> None:
    """Record an end, then delete the images; before it, if a full disk has no space for the record."""
    try:
        await commit_end(folder, record)
    except StorageFailed:
        await run_in_thread(_delete_images, folder)
        try:
            await commit_end(folder, record)
        except StorageFailed as full:  # the job will be repeated after a restart
            log.error("end not recorded", extra={"task_id": folder.name, "reason": str(full.__cause__)})  # noqa: TRY400
    await run_in_thread(_delete_images, folder)


def _delete_images(folder: Path) -> None:
    for path in folder.glob("*"):
        if path.suffix != ".json":
            with contextlib.suppress(OSError):  # in use, on Windows: deleted when the job expires
                path.unlink()
