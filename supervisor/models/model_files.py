"""The files of one model: whether they are on disk, and how they get there."""

from pathlib import Path
from typing import Protocol

from shared.catalog import ModelSpec
from supervisor.tasks.task import Task
from supervisor.workers.spec import OnProgress

FOLLOW_INTERVAL_S = 0.3


async def follow(task: Task, on_progress: OnProgress) -> None:
    """Report a download's progress until its end. Raises the error that it ended with."""
    async for update in task.updates(FOLLOW_INTERVAL_S):
        on_progress(update["percent"], update["message"])
    task.raise_failure()


class ModelFiles(Protocol):
    """One model's files. Other processes may change them: `refresh` looks at the disk, on a thread."""

    spec: ModelSpec
    error: str | None  # why the last download failed, in a sentence

    @property
    def revision(self) -> str | None:
        """The branch, tag or commit of a model on the hub."""

    @property
    def commit(self) -> str | None:
        """The commit of a complete model from the hub."""

    @property
    def path(self) -> Path | None:
        """The file or folder that a worker loads, None where it was not complete at the last `refresh`."""

    @property
    def current(self) -> Task | None:
        """The running download's task."""

    async def refresh(self) -> Path | None:
        """Return the path, if the complete model is on disk now."""

    async def start(self) -> Task | None:
        """Start a download and return its task, or the running one's; None if the model is on disk.

        Raises ModelUnusable for a model that cannot be downloaded, StorageFailed or Stopping.
        """

    async def ensure(self, on_progress: OnProgress) -> None:
        """Wait until the model is on disk; download it first if it is missing.

        Raises the error that a download ended with. Cancelling leaves the download running.
        """

    async def size_bytes(self) -> int:
        """Return the size of the downloaded files, which `delete` would free."""

    async def delete(self) -> int:
        """Delete the downloaded files and return their size in bytes; those of the user's own stay.

        Raises StillRunning during a download, ModelUnusable for files of the user's own.
        """

    async def close(self) -> None:
        """Reject further downloads, and end the running one; a later download resumes it."""
