"""Where a downloaded model lies on this machine, and the record of what was proven whole.

The files are laid out as the hub's own library lays them out, so that its tools read them as well:

    models--OWNER--NAME/blobs/ETAG               a file's bytes; ETAG.incomplete while they arrive
    models--OWNER--NAME/snapshots/COMMIT/FILE    a link to them, or where no links can be made, they
    models--OWNER--NAME/refs/REVISION            the commit that a branch stood for
    records/models--OWNER--NAME@REVISION.json    ours: written last, once every file was checked
"""

import hashlib
import json
import os
import re
import uuid
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from shared.file_replace import replace_with_retry

CHUNK_BYTES = 1024**2
WEIGHTS_SUFFIX = ".safetensors"
WEIGHTS_NAME = "model.safetensors"
CONFIG_NAME = "config.json"
CODE_SUFFIX = ".py"
PLAIN_NAME = re.compile(r"\w[\w .+-]*")  # in no folder, nor on another drive
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file as it was when it was checked. `size` is in bytes, `mtime_ns` in nanoseconds."""

    size: int
    sha256: str
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Record:
    """A snapshot that is complete and was checked; `code` tells whether the hub's code is part of it."""

    repo_id: str
    revision: str
    commit: str
    code: bool
    files: dict[str, FileRecord]


class HubCache:
    """One repository's part of the cache. Every method may block."""

    def __init__(self, root: Path, repo_id: str) -> None:
        self.root = root
        self.repo_id = repo_id
        self.name = f"models--{repo_id.replace('/', '--')}"
        self.folder = root / self.name

    def blob(self, etag: str) -> Path:
        """Return where a file's bytes lie."""
        return self.folder / "blobs" / etag

    def partial(self, etag: str) -> Path:
        """Return where a file's bytes are gathered while they arrive."""
        return self.folder / "blobs" / f"{etag}.incomplete"

    def snapshot(self, commit: str) -> Path:
        """Return the folder that shows one commit's files under their names."""
        return self.folder / "snapshots" / commit

    def link(self, commit: str, name: str, etag: str) -> None:
        """Show a blob under its name in a snapshot."""
        shown = self.snapshot(commit) / name
        shown.parent.mkdir(parents=True, exist_ok=True)
        shown.unlink(missing_ok=True)
        try:
            shown.symlink_to(os.path.relpath(self.blob(etag), shown.parent))
        except OSError:  # Windows lets only some users make links
            replace_with_retry(self.blob(etag), shown)

    def read_manifest(self, revision: str) -> Record | None:
        """Return the record of a branch or a commit; None where there is none that can be read."""
        try:
            told = json.loads(self._record_path(revision).read_text(encoding="utf-8"))
            files = {name: FileRecord(**facts) for name, facts in told.pop("files").items()}
            return Record(**told, files=files)
        except (OSError, ValueError, TypeError, AttributeError, KeyError):
            return None

    def write_manifest(self, revision: str, commit: str, hashes: dict[str, str], *, code: bool) -> None:
        """Record that a snapshot's files, given with their SHA-256, are all there and were checked."""
        files = {}
        for name, sha256 in hashes.items():
            facts = (self.snapshot(commit) / name).stat()
            files[name] = FileRecord(facts.st_size, sha256, facts.st_mtime_ns)
        record = Record(self.repo_id, revision, commit, code, files)
        _write(self._record_path(revision), json.dumps(asdict(record), indent=1))
        if revision != commit:
            _write(self.folder / "refs" / revision, commit)

    def is_intact(self, record: Record) -> bool:
        """Whether every recorded file is there as it was, by size and time of change; no bytes are read."""
        try:
            for name, known in record.files.items():
                facts = (self.snapshot(record.commit) / name).stat()
                if (facts.st_size, facts.st_mtime_ns) != (known.size, known.mtime_ns):
                    return False
        except OSError:
            return False
        return bool(record.files)

    def _record_path(self, revision: str) -> Path:
        return self.root / "records" / f"{self.name}@{quote(revision, safe='')}.json"


def cache_root(data_dir: Path) -> Path:
    """Return the folder of all downloaded models."""
    return data_dir / "models" / "birefnet"


def select_weights(names: Iterable[str]) -> set[str]:
    """Return which of a folder's files are the model's weights.

    Beside the one of the usual name, others are of other precisions or models; without it, all are shards.
    """
    weights = {name for name in names if name.endswith(WEIGHTS_SUFFIX)}
    return {WEIGHTS_NAME} if WEIGHTS_NAME in weights else weights


def select_files(names: Iterable[str], *, code: bool) -> set[str]:
    """Return what of a repository is the model's: weights, configuration and, if asked for, code."""
    plain = {name for name in names if PLAIN_NAME.fullmatch(name)}
    scripts = {name for name in plain if code and name.endswith(CODE_SUFFIX)}
    return select_weights(plain) | (plain & {CONFIG_NAME}) | scripts


def hash_file(path: Path, on_bytes: Callable[[int], None]) -> str:
    """Return the SHA-256 of what a file holds, telling `on_bytes` how many bytes each step has read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            on_bytes(len(chunk))
    return digest.hexdigest()


def flush_to_disk(path: Path) -> None:
    """Wait until a file's bytes would survive a power cut. Raises OSError."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def file_size(path: Path) -> int:
    """Return a file's size in bytes; 0 for one that is not there."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def format_bytes(size: float) -> str:
    """Return a number of bytes for people, in megabytes of a million."""
    megabytes = size / 1_000_000
    return f"{megabytes:.0f} MB" if megabytes >= 10 else f"{megabytes:.1f} MB"


def _write(path: Path, text: str) -> None:
    """Replace a file in one step, so that no reader and no power cut meets half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        part.write_text(text, encoding="utf-8")
        flush_to_disk(part)
        replace_with_retry(part, path)
    finally:
        part.unlink(missing_ok=True)
