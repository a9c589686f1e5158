"""Folders in shared places such as /tmp: for this user alone, and refused where somebody else made them."""

import os
import stat
import sys
from pathlib import Path

from shared.errors import StorageFailed

# Windows' temporary folder is the user's own already. There, Python would make a rule of 0o700 that shuts the
# same user out of whatever an administrator's prompt has made.
MODE = 0o777 if sys.platform == "win32" else 0o700


def make_private_dir(folder: Path) -> Path:
    """Make a folder that only this user may enter, with what is missing above it, and return it.

    One that is there stays as it is. Raises StorageFailed, also where somebody else made one meanwhile.
    """
    try:
        for missing in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
            missing.mkdir(mode=MODE, exist_ok=True)
            if not is_owned_or_free(missing):
                raise StorageFailed("The temporary folder belongs to somebody else.")
    except OSError as error:
        raise StorageFailed("The temporary folder cannot be written.") from error
    return folder


def is_owned_or_free(folder: Path) -> bool:
    """Whether the place is free or this user's: who owns a folder can replace whatever lies in it."""
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return True
    return sys.platform == "win32" or (stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid())
