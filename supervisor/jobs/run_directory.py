"""The run directory: this supervisor's folder of temporary files, deleted at its end."""

import asyncio
import logging
import os
import secrets
import shutil
import time
from pathlib import Path

import psutil

from supervisor.platform.private_dir import is_owned_or_free, make_private_dir

ORPHAN_AGE_S = 3600
log = logging.getLogger("supervisor.run_directory")


class RunDirectory:
    """A folder below `temp_dir`, made when it is first needed.

    Its name has this process's id and start time, so that a later supervisor can tell the orphaned directory
    of a killed one from that of a running one, and a random part, so that no other user can make it first in
    a folder that several may write to.
    """

    def __init__(self, temp_dir: Path) -> None:
        self._temp_dir = temp_dir
        started_ms = int(psutil.Process().create_time() * 1000)
        self.path = temp_dir / f"run-{os.getpid()}-{started_ms}-{secrets.token_hex(8)}"

    def heartbeat(self) -> None:
        """Touch the folder, so that other supervisors and cleaners of temporary folders keep it.

        They cannot tell it by process id and start time from another container, or once the clock is set.
        """
        os.utime(make_private_dir(self.path))

    async def delete_orphans(self) -> None:
        """Delete the run directories of killed supervisors."""
        await asyncio.to_thread(self._delete_orphans)

    async def delete(self) -> None:
        """Delete every file of this supervisor, at its shutdown."""
        await asyncio.to_thread(delete_folder, self.path)

    def _delete_orphans(self) -> None:
        for folder in self._temp_dir.glob("run-*-*"):
            try:
                _, pid, started_ms, *_ = folder.name.split("-")
                recent = time.time() - folder.stat().st_mtime < ORPHAN_AGE_S
                # Its own by name: once the system's clock is set, no process has the start time that it had.
                if folder == self.path or recent or _is_alive(int(pid), int(started_ms)):
                    continue
                if not is_owned_or_free(folder):
                    continue
            except (ValueError, OSError):
                continue
            log.info("orphaned run directory deleted", extra={"folder": folder.name})
            delete_folder(folder)


def delete_folder(folder: Path) -> bool:
    """Delete what can be deleted; return whether that was all."""
    shutil.rmtree(folder, ignore_errors=True)
    return not os.path.exists(folder)  # noqa: PTH110  # pathlib raises for one that is being deleted


def _is_alive(pid: int, started_ms: int) -> bool:
    try:
        return abs(psutil.Process(pid).create_time() * 1000 - started_ms) < 1000
    except psutil.Error:
        return False
