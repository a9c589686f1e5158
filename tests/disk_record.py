"""A record of the order in which files are flushed to the disk and renamed."""

import os
from pathlib import Path

import pytest


class DiskRecord:
    """Records os.fsync and Path.replace: what is renamed before its flush may be empty after a power cut."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.renamed: list[str] = []
        self.not_flushed: list[str] = []
        flushed: set[tuple[int, int]] = set()  # inode and size
        fsync, replace = os.fsync, Path.replace

        def record_fsync(descriptor: int) -> None:
            fsync(descriptor)
            status = os.fstat(descriptor)
            flushed.add((status.st_ino, status.st_size))

        def record_replace(path: Path, target: Path) -> Path:
            self.renamed.append(target.name)
            status = path.stat()
            if (status.st_ino, status.st_size) not in flushed:
                self.not_flushed.append(target.name)
            return replace(path, target)

        monkeypatch.setattr(os, "fsync", record_fsync)
        monkeypatch.setattr(Path, "replace", record_replace)
