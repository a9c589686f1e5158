"""The published results and their files, which clients may download until they expire."""

from dataclasses import dataclass
from pathlib import Path

from shared.errors import Expired
from supervisor.jobs.job import Job
from supervisor.jobs.records import StoredFileRecord
from supervisor.jobs.result import Result
from supervisor.tasks.ids import missing_id_error


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that clients may download."""

    id: str
    path: Path
    media_type: str
    download_name: str


class PublishedResults:
    """Index of results by their job, and of files by their id. In memory; the records are on disk."""

    def __init__(self, retention_s: float) -> None:
        self._retention_s = retention_s
        self._results: dict[str, Result] = {}
        self._jobs: dict[str, Job] = {}  # of the results
        self._files: dict[str, StoredFile | None] = {}  # None for a deleted one
        self._by_job: dict[str, list[str]] = {}

    def publish(self, folder: Path, job: Job, result: Result, files: list[StoredFileRecord]) -> None:
        """Add a result and its files, which are in the job's `folder`."""
        self._results[folder.name] = result
        self._jobs[folder.name] = job
        self._by_job[folder.name] = [file["id"] for file in files]
        for file in files:
            self._files[file["id"]] = StoredFile(
                file["id"], folder / file["name"], file["media_type"], file["download_name"]
            )

    def restore_deleted(self, job_id: str, files: list[StoredFileRecord]) -> None:
        """Add the ids of a job's files that were deleted before a restart."""
        self._by_job[job_id] = [file["id"] for file in files]
        self._files.update(dict.fromkeys(self._by_job[job_id]))

    def result(self, job_id: str) -> Result:
        """Return the result of a job that succeeded. Raises Expired when its files are deleted."""
        if job_id not in self._results:
            raise Expired
        return self._results[job_id]

    def job(self, job_id: str) -> Job:
        """Return a job that succeeded. Raises Expired when its files are deleted."""
        if job_id not in self._jobs:
            raise Expired
        return self._jobs[job_id]

    def file(self, file_id: str) -> StoredFile:
        """Return the file of that id. Raises NotFound, or Expired for a deleted one."""
        if file_id not in self._files:
            raise missing_id_error("file", file_id, self._retention_s)
        stored = self._files[file_id]
        if stored is None or not stored.path.is_file():
            raise Expired
        return stored

    def withdraw(self, job_id: str) -> bool:
        """Remove a result whose files are deleted early, and return whether there was one.

        The ids of its files are known until the job expires.
        """
        self._files.update(dict.fromkeys(self._by_job.get(job_id, ())))
        self._jobs.pop(job_id, None)
        return self._results.pop(job_id, None) is not None

    def forget(self, job_id: str) -> None:
        """Remove everything of a job that has expired."""
        self._results.pop(job_id, None)
        self._jobs.pop(job_id, None)
        for file_id in self._by_job.pop(job_id, ()):
            del self._files[file_id]
