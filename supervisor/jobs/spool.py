"""The files of removals: where they lie, who may still fetch them, and when they go."""

import asyncio
import logging
import os
import shutil
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import psutil
from pydantic import Field
from typing_extensions import TypedDict

from shared.errors import Expired
from shared.formats import MEDIA_TYPES
from supervisor.jobs.tombstones import Tombstones
from supervisor.platform.private_dir import make_private_dir

ORPHAN_AGE_S = 3600
log = logging.getLogger("supervisor.results")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that clients may download."""

    id: str
    path: Path
    media_type: str
    download_name: str


class Result(TypedDict):
    """A finished removal as clients see it."""

    task_id: str
    status: Literal["complete"]
    original_file_id: str
    original_url: str
    result_file_id: str
    result_url: str
    width: Annotated[int, Field(description="of the result's picture, in pixels")]
    height: Annotated[int, Field(description="of the result's picture, in pixels")]
    format: Annotated[
        str,
        Field(description="the file's own; zip for both", json_schema_extra={"enum": [*MEDIA_TYPES]}),
    ]
    subject: Annotated[bool, Field(description="false where the photo shows none: the result is empty")]
    coverage: Annotated[float, Field(description="how much of the photo the subject takes, 0 to 1")]
    box: Annotated[
        tuple[int, int, int, int] | None,
        Field(description="left, top, width and height of the subject in the upright photo, in pixels"),
    ]
    frame: Annotated[
        tuple[int, int, int, int],
        Field(description="the part of the upright photo that the result shows; all, if not cropped"),
    ]
    model_id: str
    device: str
    timings_ms: Annotated[
        dict[str, float],
        Field(description="milliseconds in the queue (queued), in each step, and in all (total)"),
    ]
    expires_at: Annotated[float, Field(description="when the files are deleted, in Unix seconds")]


class Spool:
    """One folder a removal, inside a folder of this supervisor's own.

    The folder's name carries this process's id and start time, so that a later supervisor can tell the
    leftovers of a killed one from the files of one that runs beside it.
    """

    def __init__(self, temp_dir: Path) -> None:
        self._temp_dir = temp_dir
        self.folder = temp_dir / f"run-{os.getpid()}-{int(psutil.Process().create_time() * 1000)}"
        self._files: dict[str, StoredFile] = {}
        self._by_task: dict[str, list[str]] = {}
        self._forgotten = Tombstones("file")
        self._in_use: set[Path] = set()  # folders that were to go and are still there

    def make_folder(self, task_id: str) -> Path:
        """Make the folder of one removal, and return it. Raises StorageFailed."""
        return make_private_dir(self.folder / task_id)

    def publish(self, task_id: str, path: Path, media_type: str, download_name: str) -> StoredFile:
        """Let clients download `path`, which lies in the task's folder, until the task expires."""
        stored = StoredFile(uuid.uuid4().hex, path, media_type, download_name)
        self._files[stored.id] = stored
        self._by_task.setdefault(task_id, []).append(stored.id)
        return stored

    def get(self, file_id: str) -> StoredFile:
        """Return the file of that id. Raises NotFound, or Expired for one that is gone."""
        stored = self._files.get(file_id)
        if stored is None:
            raise self._forgotten.error(file_id)
        if not stored.path.is_file():
            raise Expired
        return stored

    async def drop(self, task_id: str) -> None:
        """Delete the files of one removal."""
        for file_id in self._by_task.pop(task_id, ()):
            del self._files[file_id]
            self._forgotten.add(file_id)
        await self._delete(self.folder / task_id)

    async def drop_orphans(self) -> None:
        """Delete what killed supervisors left behind, and what was in use when it was to go."""
        await asyncio.to_thread(self._delete_orphans)
        for folder in list(self._in_use):
            await self._delete(folder)

    def show_life(self) -> None:
        """Make the folder look used, for other services and for what cleans temporary folders of old files.

        Once the clock is set, or from another container, nobody can tell its process by id and start time.
        """
        os.utime(make_private_dir(self.folder))

    async def drop_all(self) -> None:
        """Delete every file of this supervisor; for its end."""
        await asyncio.to_thread(_delete, self.folder)

    async def _delete(self, folder: Path) -> None:
        # On Windows a file that is just being downloaded cannot be deleted: the next sweep gets it.
        if await asyncio.to_thread(_delete, folder):
            self._in_use.discard(folder)
        else:
            self._in_use.add(folder)

    def _delete_orphans(self) -> None:
        for folder in self._temp_dir.glob("run-*-*"):
            try:
                _, pid, started_ms = folder.name.split("-")
                recent = time.time() - folder.stat().st_mtime < ORPHAN_AGE_S
                # Its own by name: once the system's clock is set, no process has the start time that it had.
                if folder == self.folder or recent or _is_alive(int(pid), int(started_ms)):
                    continue
            except (ValueError, OSError):
                continue
            log.info("deleting leftovers", extra={"folder": folder.name})
            _delete(folder)


def _delete(folder: Path) -> bool:
    """Delete what can be deleted; return whether that was all."""
    shutil.rmtree(folder, ignore_errors=True)
    return not os.path.exists(folder)  # noqa: PTH110  # pathlib raises for one that is just going


def _is_alive(pid: int, started_ms: int) -> bool:
    try:
        return abs(psutil.Process(pid).create_time() * 1000 - started_ms) < 1000
    except psutil.Error:
        return False
