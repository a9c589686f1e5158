"""The cache of downloaded models, with a manifest of verified files per model and revision.

The layout is huggingface_hub's, so that its tools can read the cache:

    models--OWNER--NAME/blobs/ETAG               a file's bytes; ETAG.incomplete during the download
    models--OWNER--NAME/snapshots/COMMIT/FILE    a symlink to the blob, or the file where links fail
    models--OWNER--NAME/refs/REVISION            the commit of a branch
    records/models--OWNER--NAME@REVISION.json    our manifest: written last, after verification
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from shared.file_replace import replace_with_retry

CHUNK_BYTES = 1024**2
WEIGHTS_SUFFIX = ".safetensors"
WEIGHTS_NAME = "model.safetensors"
DELETED_SUFFIX = ".deleted"  # of a folder that is being deleted; with a dot before its name: no repository's
CONFIG_NAME = "config.json"
CODE_SUFFIX = ".py"
PLAIN_NAME = re.compile(r"\w[\w .+-]*")  # without a folder or drive
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One verified file. `size` is in bytes; `mtime_ns` is its modification time at verification."""

    size: int
    sha256: str
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """A complete, verified snapshot; `code`: including the repository's Python files."""

    repo_id: str
    revision: str
    commit: str
    code: bool
    files: dict[str, FileEntry]


class HubCache:
    """One repository's part of the cache. All methods do blocking I/O."""

    def __init__(self, root: Path, repo_id: str) -> None:
        self.root = root
        self.repo_id = repo_id
        self.name = f"models--{repo_id.replace('/', '--')}"
        self.folder = root / self.name

    def blob(self, etag: str) -> Path:
        """Return the path of a file's bytes."""
        return self.folder / "blobs" / etag

    def partial(self, etag: str) -> Path:
        """Return the path of a file's partial download."""
        return self.folder / "blobs" / f"{etag}.incomplete"

    def snapshot(self, commit: str) -> Path:
        """Return the folder of one commit's files by name."""
        return self.folder / "snapshots" / commit

    def link(self, commit: str, name: str, etag: str) -> None:
        """Link a blob into a snapshot by its file name."""
        target = self.snapshot(commit) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            target.symlink_to(os.path.relpath(self.blob(etag), target.parent))
        except OSError:  # Windows allows only some users to create links
            replace_with_retry(self.blob(etag), target)

    def read_manifest(self, revision: str) -> Manifest | None:
        """Return the manifest of a branch or a commit; None if it is missing or unreadable."""
        return _read_manifest(self._manifest_path(revision))

    def write_manifest(self, revision: str, commit: str, hashes: dict[str, str], *, code: bool) -> None:
        """Write the manifest of a complete snapshot, given its verified files' SHA-256 by name."""
        files = {}
        for name, sha256 in hashes.items():
            stat = (self.snapshot(commit) / name).stat()
            files[name] = FileEntry(stat.st_size, sha256, stat.st_mtime_ns)
        manifest = Manifest(self.repo_id, revision, commit, code, files)
        _write_atomically(self._manifest_path(revision), json.dumps(asdict(manifest), indent=1))
        if revision != commit:
            _write_atomically(self.folder / "refs" / revision, commit)

    def is_intact(self, manifest: Manifest) -> bool:
        """Whether every file in the manifest still has its size and modification time; reads no contents."""
        try:
            for name, entry in manifest.files.items():
                stat = (self.snapshot(manifest.commit) / name).stat()
                if (stat.st_size, stat.st_mtime_ns) != (entry.size, entry.mtime_ns):
                    return False
        except OSError:
            return False
        return bool(manifest.files)

    def size_bytes(self) -> int:
        """Return the size of the repository's files on disk, complete or not, without what links lead to."""
        return _measure_folder(self.folder)

    def delete(self) -> int:
        """Delete everything of the repository, of every revision, and return its size in bytes.

        First the folder is renamed: where that fails, since its files are open (Windows), nothing is deleted,
        and a download that begins meanwhile has a folder of its own. Raises OSError.
        """
        size_bytes = self.size_bytes()
        doomed = self.root / f".{self.name}-{uuid.uuid4().hex}{DELETED_SUFFIX}"
        with contextlib.suppress(FileNotFoundError):
            self.folder.rename(doomed)
        for manifest in (self.root / "records").glob(f"{self.name}@*.json"):
            manifest.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):  # another deletion removes it as a leftover
            _delete_tree(doomed)
        for leftover in self.root.glob(f".*{DELETED_SUFFIX}"):  # of a deletion that was killed
            with contextlib.suppress(OSError):
                _delete_tree(leftover)
        return size_bytes

    def _manifest_path(self, revision: str) -> Path:
        return self.root / "records" / f"{self.name}@{quote(revision, safe='')}.json"


def list_repositories(root: Path) -> list[str]:
    """Return the hub ids of the repositories that have a manifest and its snapshot's folder. Blocks."""
    manifests = map(_read_manifest, (root / "records").glob("models--*@*.json"))
    return sorted({each.repo_id for each in manifests if each is not None and _has_snapshot(root, each)})


def _has_snapshot(root: Path, manifest: Manifest) -> bool:
    is_id = manifest.repo_id.count("/") == 1  # else the record is not ours
    return is_id and HubCache(root, manifest.repo_id).snapshot(manifest.commit).is_dir()


def _read_manifest(path: Path) -> Manifest | None:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        files = {name: FileEntry(**entry) for name, entry in fields.pop("files").items()}
        manifest = Manifest(**fields, files=files)
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return None
    return manifest if isinstance(manifest.repo_id, str) and isinstance(manifest.commit, str) else None


def cache_root(data_dir: Path) -> Path:
    """Return the folder of all downloaded models."""
    return data_dir / "models" / "birefnet"


def select_weights(names: Iterable[str]) -> set[str]:
    """Return which of a folder's files are the model's weights.

    If model.safetensors is among them, others are other precisions or models; else, all are shards.
    """
    weights = {name for name in names if name.endswith(WEIGHTS_SUFFIX)}
    return {WEIGHTS_NAME} if WEIGHTS_NAME in weights else weights


def select_files(names: Iterable[str], *, code: bool) -> set[str]:
    """Return a repository's files for the model: weights, configuration and, with `code`, Python files."""
    plain = {name for name in names if PLAIN_NAME.fullmatch(name)}
    scripts = {name for name in plain if code and name.endswith(CODE_SUFFIX)}
    return select_weights(plain) | (plain & {CONFIG_NAME}) | scripts


def hash_file(path: Path, on_bytes: Callable[[int], None]) -> str:
    """Return a file's SHA-256; calls `on_bytes` with the number of bytes of each chunk read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            on_bytes(len(chunk))
    return digest.hexdigest()


def flush_to_disk(path: Path) -> None:
    """fsync a file, so that its bytes survive a power failure. Raises OSError."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def file_size(path: Path) -> int:
    """Return a file's size in bytes; 0 if it does not exist."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _measure_folder(folder: Path) -> int:
    """Return the size of a folder's files in bytes, without what links lead to; 0 if it does not exist."""
    if folder.is_symlink():
        return 0
    files = (Path(parent, name) for parent, _, names in os.walk(folder) for name in names)
    return sum(file_size(path) for path in files if not path.is_symlink())


def _delete_tree(path: Path) -> None:
    """Delete a folder with its files, or a link to one, but nothing that links lead to. Raises OSError."""
    if path.is_symlink():
        path.unlink()
    else:
        shutil.rmtree(path)


def format_bytes(size: float) -> str:
    """Return a number of bytes as text, in megabytes of a million bytes."""
    megabytes = size / 1_000_000
    return f"{megabytes:.0f} MB" if megabytes >= 10 else f"{megabytes:.1f} MB"


def _write_atomically(path: Path, text: str) -> None:
    """Replace a file atomically and durably: no reader and no power failure leaves half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        part.write_text(text, encoding="utf-8")
        flush_to_disk(part)
        replace_with_retry(part, path)
    finally:
        part.unlink(missing_ok=True)
