"""Private folders (mode 0700) in shared places such as /tmp; folders of other users are rejected."""

import os
import stat
import sys
from pathlib import Path

from shared.errors import StorageFailed

# On Windows the temporary folder is per user already. Newer Python versions turn 0o700 into an access
# control list that locks the same user out of folders made by an elevated process.
MODE = 0o777 if sys.platform == "win32" else 0o700


def make_private_dir(folder: Path) -> Path:
    """Create a folder and its missing parents, accessible to this user only, and return it.

    Existing folders are not changed. Raises StorageFailed, also if another user creates one at the same time.
    """
    try:
        for missing in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
            missing.mkdir(mode=MODE, exist_ok=True)
            if not is_owned_or_free(missing):
                raise StorageFailed("The temporary folder belongs to another user: set BGREMOVE_TEMP_DIR.")
    except OSError as error:
        raise StorageFailed(
            "The temporary folder is not writable: check its permissions and free space."
        ) from error
    return folder


def is_owned_or_free(folder: Path) -> bool:
    """Whether `folder` is absent or belongs to this user. The owner of a folder can replace its files."""
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return True
    return sys.platform == "win32" or (stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid())
