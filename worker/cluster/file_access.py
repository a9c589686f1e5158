"""Files that an actor reads and writes itself: paths that every node has, or URLs that fsspec knows."""

from pathlib import Path
from typing import Any

import fsspec

_PART = ".part"  # of a result that is being written
_LOCAL = "file://"


def to_local_path(url: str) -> Path | None:
    """Return the path of a local file: of a path itself, or of a file:// URL; None for other URLs."""
    if "://" in url and not url.startswith(_LOCAL):
        return None
    return Path(url.removeprefix(_LOCAL))


def open_system(url: str) -> tuple[Any, str]:
    """Return fsspec's file system of a path or URL, and the path in it.

    Raises what the file system's package raises, ImportError if it is not installed.
    """
    path = to_local_path(url)
    if path is not None:  # not parsed: a file's name may contain "::"
        return fsspec.filesystem("file"), str(path)
    system, remote = fsspec.core.url_to_fs(url)
    return system, str(remote)


def read_file(url: str) -> bytes:
    """Return a file's content. Raises OSError, or what the file system's package raises."""
    system, path = open_system(url)
    content: bytes = system.cat_file(path)
    return content


def write_file(url: str, content: bytes) -> None:
    """Write a file that appears whole: renamed on a local file system, on others when it is closed."""
    local = to_local_path(url)
    if local is not None:
        local.parent.mkdir(parents=True, exist_ok=True)
        part = local.with_name(local.name + _PART)
        part.write_bytes(content)
        part.replace(local)
        return
    system, path = open_system(url)
    system.makedirs(path.rpartition("/")[0], exist_ok=True)
    system.pipe_file(path, content)
