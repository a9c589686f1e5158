"""The files of `remove --cluster`: lists photos one after the other, and names their results.

A folder is a path or an fsspec URL. Neither the paths nor the names of a folder are held in memory.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from cli.command_errors import CommandFailed, usage_error
from cli.outputs import Naming
from worker.cluster.file_access import open_system, to_local_path

IMAGE_ENDINGS = (
    *(".jpg", ".jpeg", ".jfif", ".png", ".webp", ".avif", ".heic", ".heif", ".gif", ".tif", ".tiff"),
    ".bmp",
)


class Entry(NamedTuple):
    """A file or a folder of a folder, by its name."""

    name: str
    is_folder: bool


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo and where its result goes: paths or URLs, as every node knows them."""

    source: str
    target: str
    name: str

    @property
    def up_to_date(self) -> bool:
        """Whether the result exists and is not older than the photo, if the file system has times."""
        try:
            written_at = _read_mtime(self.target)
        except OSError:
            return False
        try:
            return bool(written_at >= _read_mtime(self.source))
        except NotImplementedError:
            return True
        except OSError:
            return False


class PhotoFolder:
    """A folder of photos, or one photo, and the folder of its results.

    Raises a usage error for one that is missing, ImportError or ValueError for a URL that fsspec cannot open.
    """

    def __init__(self, source: str, target: str, naming: Naming) -> None:
        self._source, self._target = _to_absolute(source), _to_absolute(target)
        self._naming = naming
        self._excluded = _canonicalise(self._target)
        open_system(self._target)
        system, path = open_system(self._source)
        if not system.exists(path):
            raise usage_error(f"there is no file {source}")
        self._is_folder = system.isdir(path)
        if self._is_folder and _canonicalise(self._source) == self._excluded:
            raise usage_error("--out-dir must be another folder than that of the photos")

    def iterate_photos(self, *, recursive: bool) -> Iterator[Photo]:
        """Yield the photos by their extension, without hidden ones and those below the folder of the results.

        Raises CommandFailed for a folder that cannot be read, and for a result that would replace its photo.
        """
        if not self._is_folder:
            folder, _, name = self._source.replace(os.sep, "/").rpartition("/")
            photo = self._make_photo(folder, self._target, name, set())
            if _canonicalise(photo.source) == _canonicalise(photo.target):
                raise usage_error(f"{photo.target} would overwrite the input image itself")
            yield photo
            return
        waiting = [""]  # folders relative to the source, each with its slash
        while waiting:
            relative = waiting.pop()
            folder, target = (f"{root}/{relative}".rstrip("/") for root in (self._source, self._target))
            shared = _find_shared_stems(folder)
            for name, is_folder in _scan(folder):
                if is_folder and recursive and _canonicalise(f"{folder}/{name}") != self._excluded:
                    waiting.append(f"{relative}{name}/")
                elif not is_folder and _is_image(name):
                    yield self._make_photo(folder, target, name, shared)

    def _make_photo(self, folder: str, target: str, name: str, shared: set[str]) -> Photo:
        stem = _get_stem(name)
        result = self._naming.make_name(name if stem in shared else stem)
        return Photo(f"{folder}/{name}", f"{target}/{result}", name)


def _find_shared_stems(folder: str) -> set[str]:
    """Return the names without extension that several photos have, such as a.heic and a.jpg.

    Their hashes are compared, which take less memory than a million names.
    """
    seen: set[int] = set()
    shared = set()
    for name, is_folder in _scan(folder):
        if not is_folder and _is_image(name):
            stem = _get_stem(name)
            shared |= {stem} if hash(stem) in seen else set()
            seen.add(hash(stem))
    return shared


def _scan(folder: str) -> Iterator[Entry]:
    """Yield a folder's files and folders, without hidden ones and links to folders."""
    path = to_local_path(folder)
    try:
        if path is not None:
            with os.scandir(path) as entries:
                for entry in entries:
                    is_folder = entry.is_dir(follow_symlinks=False)
                    if not entry.name.startswith(".") and (is_folder or entry.is_file()):
                        yield Entry(entry.name, is_folder)
            return
        system, root = open_system(folder)
        for found in system.ls(root, detail=True):
            name = found["name"].rstrip("/").rpartition("/")[2]
            if name and not name.startswith(".") and found["name"].rstrip("/") != root.rstrip("/"):
                yield Entry(name, found["type"] == "directory")
    except OSError as error:
        raise CommandFailed(f"cannot read the folder {folder}: {error}", "input_unreadable") from error


def _read_mtime(url: str) -> Any:  # noqa: ANN401  # seconds of a local file, else fsspec's datetime
    system, path = open_system(url)
    return system.modified(path)


def _is_image(name: str) -> bool:
    return name.lower().endswith(IMAGE_ENDINGS)


def _get_stem(name: str) -> str:
    return name.rpartition(".")[0].strip() or name


def _to_absolute(path: str) -> str:
    """Return a URL as it is, and a path made absolute: the nodes have other working folders."""
    absolute = path if "://" in path else str(Path(path).absolute())
    return absolute.rstrip("/") or "/"


def _canonicalise(url: str) -> str:
    path = to_local_path(url)
    return url if path is None else str(path.resolve())
