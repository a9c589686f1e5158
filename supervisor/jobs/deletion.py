"""Deletion of jobs' folders: immediately where the system allows it, else by a later clean-up."""

from pathlib import Path

from supervisor.jobs.run_directory import delete_folder
from supervisor.platform.uncancelled import run_in_thread

DELETED = ".deleted"  # ending of a folder that is being deleted


class FolderDeleter:
    """Deletes folders, and remembers those that the system did not let go of yet.

    On Windows a file that is being downloaded cannot be deleted.
    """

    def __init__(self) -> None:
        self._undeleted: set[Path] = set()

    async def delete(self, folder: Path) -> None:
        """Delete a job's folder; what cannot be deleted now, `delete_leftovers` tries again."""
        if await run_in_thread(_delete_job, folder):
            self._undeleted.discard(folder)
        else:
            self._undeleted.add(folder)

    async def delete_leftovers(self) -> None:
        """Delete the folders that could not be deleted before."""
        for folder in list(self._undeleted):
            await self.delete(folder)


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
