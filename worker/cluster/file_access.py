"""Files that an actor reads and writes itself: paths that every node has, or URLs that fsspec knows."""

from pathlib import Path
from urllib.parse import urlsplit

import fsspec

_PART = ".part"  # of a result that is being written


def read_file(url: str) -> bytes:
    """Return a file's content. Raises OSError, or what the file system's package raises."""
    with fsspec.open(url, "rb") as file:
        content: bytes = file.read()
        return content


def write_file(url: str, content: bytes) -> None:
    """Write a file that appears whole: renamed on a local file system, on others when it is closed."""
    system, path = fsspec.core.url_to_fs(url)
    system.makedirs(path.rpartition("/")[0], exist_ok=True)
    is_local = urlsplit(url).scheme in ("", "file") or Path(url).drive
    part = f"{path}{_PART}" if is_local else path
    with system.open(part, "wb") as file:
        file.write(content)
    if is_local:
        system.mv(part, path)
