"""The claim of a spool folder: one service at a time, and what dead ones left is adopted.

Below the folder of the settings, each service has a numbered one of its own, with a lock that ends with its
process.
"""

import contextlib
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from shared.errors import StorageFailed
from shared.file_lock import try_lock
from supervisor.platform.private_dir import is_owned_or_free, make_private_dir

LOCK = "lock"
MAX_FOLDERS = 100  # below one folder of the settings
log = logging.getLogger("supervisor.spool")


class SpoolClaim:
    """The claimed folder, `path`, until `release`."""

    def __init__(self, path: Path, lock: IO[bytes]) -> None:
        self.path = path
        self._lock = lock
        self._renewing = threading.Lock()

    def renew(self) -> None:
        """Make and lock the folder again if another program has deleted or moved it. Safe on any thread.

        Raises StorageFailed if another service has claimed it since.
        """
        with self._renewing:
            if os.fstat(self._lock.fileno()).st_nlink and (self.path / LOCK).exists():
                return
            try:
                lock = _try_claim(self.path)
            except OSError as error:
                raise StorageFailed("The spool folder was deleted, and cannot be made again.") from error
            if lock is None:
                raise StorageFailed(
                    "The spool folder was deleted, and another service uses it now: restart this service."
                )
            self._lock.close()
            self._lock = lock
            log.error("deleted spool folder made again, without its jobs", extra={"spool": str(self.path)})

    def release(self) -> None:
        """Give the folder up; what is in it stays."""
        self._lock.close()


def claim_spool_folder(spool_dir: Path) -> SpoolClaim:
    """Claim the first numbered folder that no running service has, and adopt the jobs of the other free ones.

    Raises StorageFailed if no folder can be made.
    """
    claim = _claim_first(spool_dir)
    for folder in _other_folders(spool_dir, claim.path):
        try:
            other = _try_claim(folder)
        except (StorageFailed, OSError) as error:  # as one of another user
            log.warning("spool not adopted", extra={"spool": str(folder), "reason": str(error)})
            continue
        if other is not None:
            with other:
                _adopt(folder, claim.path)
    return claim


def _claim_first(spool_dir: Path) -> SpoolClaim:
    for number in range(1, MAX_FOLDERS + 1):
        folder = spool_dir / str(number)
        try:
            lock = _try_claim(folder)
        except PermissionError as error:
            log.warning("spool folder skipped", extra={"spool": str(folder), "reason": str(error)})
            continue
        if lock is not None:
            return SpoolClaim(folder, lock)
        log.warning("spool folder in use by another service", extra={"spool": str(folder)})
    raise StorageFailed(f"None of {MAX_FOLDERS} spool folders is free: set BGREMOVE_SPOOL_DIR.")


def _try_claim(folder: Path) -> IO[bytes] | None:
    """Make and lock a folder; return None for one that another service has.

    Raises PermissionError for one of another user, StorageFailed or OSError for a disk that fails.
    """
    if not is_owned_or_free(folder):
        raise PermissionError("it belongs to another user")
    lock = (make_private_dir(folder) / LOCK).open("a+b")
    if try_lock(lock):
        return lock
    lock.close()
    return None


def _other_folders(spool_dir: Path, own: Path) -> Iterator[Path]:
    return (each for each in spool_dir.iterdir() if each.name.isdecimal() and each.is_dir() and each != own)


def _adopt(folder: Path, target: Path) -> None:
    """Move the job folders of a dead service. Its own stays: another service may open its lock just now."""
    jobs = [each for each in folder.iterdir() if each.is_dir()]
    for job in jobs:
        with contextlib.suppress(OSError):  # such as its folder of incoming uploads, of which each has one
            job.rename(target / job.name)
    if jobs:
        log.info("spool adopted", extra={"from": str(folder), "count": len(jobs)})
