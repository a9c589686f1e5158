"""Uploaded files that can be linked into a job's folder, so that a large one is written once."""

import contextlib
import os
import shutil
from pathlib import Path
from tempfile import NamedTemporaryFile, SpooledTemporaryFile
from typing import IO

from supervisor.platform.private_dir import make_private_dir

MEMORY_BYTES = 1024**2  # of a file that is not on disk yet


class LinkableFile(SpooledTemporaryFile[bytes]):
    """An uploaded file: in memory up to a mebibyte, then a named file in `folder`, deleted when closed.

    The standard library's has no name on Linux, and could only be copied.
    """

    _file: IO[bytes]
    _rolled: bool

    def __init__(self, folder: Path) -> None:
        super().__init__(max_size=MEMORY_BYTES)
        self._folder = folder
        self._path: Path | None = None

    def rollover(self) -> None:
        """Move the content to disk."""
        if self._rolled:
            return
        file = NamedTemporaryFile(dir=make_private_dir(self._folder))  # noqa: SIM115  # closed with this one
        position = self._file.tell()
        self._file.seek(0)
        file.write(self._file.read())
        file.seek(position)
        self._file, self._path, self._rolled = file, Path(file.name), True

    def close(self) -> None:
        """Close the file, and delete it if the spool was not cleared before."""
        with contextlib.suppress(FileNotFoundError):
            super().close()

    def save_as(self, target: Path) -> None:
        """Write the content to `target`; a file on disk is linked, or copied where that fails."""
        if self._path is None:
            self.seek(0)
            target.write_bytes(self.read())
            return
        self.flush()
        try:
            os.link(self._path, target)
        except OSError:  # another file system, or one without links
            self.seek(0)
            with target.open("wb") as copy:
                shutil.copyfileobj(self, copy, MEMORY_BYTES)
