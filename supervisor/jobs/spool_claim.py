"""The claim of a spool folder: one service at a time, and what dead ones left is adopted.

Below the folder of the settings, each service has a numbered one of its own, with a lock that ends with its
process.
"""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from shared.file_lock import try_lock
from supervisor.platform.private_dir import make_private_dir

LOCK = "lock"
log = logging.getLogger("supervisor.spool")


class SpoolClaim:
    """The claimed folder, `path`, until `release`."""

    def __init__(self, path: Path, lock: IO[bytes]) -> None:
        self.path = path
        self._lock = lock

    def release(self) -> None:
        """Give the folder up; what is in it stays."""
        self._lock.close()


def claim_spool_folder(spool_dir: Path) -> SpoolClaim:
    """Claim the first numbered folder that no running service has, and adopt the jobs of the other free ones.

    Raises StorageFailed for a folder that cannot be made, or belongs to another user.
    """
    number = 1
    while (lock := _try_claim(make_private_dir(spool_dir / str(number)))) is None:
        number += 1
    claim = SpoolClaim(spool_dir / str(number), lock)
    if number > 1:
        log.warning("spool folder in use by another service", extra={"spool": str(claim.path)})
    for folder in _other_folders(spool_dir, claim.path):
        try:
            other = _try_claim(folder)
        except OSError as error:  # as one of another user
            log.warning("spool not adopted", extra={"spool": str(folder), "reason": str(error)})
            continue
        if other is not None:
            with other:
                _adopt(folder, claim.path)
    return claim


def _try_claim(folder: Path) -> IO[bytes] | None:
    lock = (folder / LOCK).open("a+b")
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
