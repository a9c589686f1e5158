"""The model store: whether BiRefNet's files are complete on disk, and their import from a folder."""

import asyncio
import hashlib
import json
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shared.catalog import ModelSpec
from shared.errors import DownloadDamaged, ModelUnusable, StorageFailed
from shared.file_replace import replace_with_retry
from shared.hub_cache import (
    CHUNK_BYTES,
    WEIGHTS_SUFFIX,
    HubCache,
    cache_root,
    flush_to_disk,
    format_bytes,
    hash_file,
    select_files,
    select_weights,
)
from shared.messages import Loader
from supervisor.workers.spec import OnProgress

MAX_HEADER_BYTES = 100_000_000  # safetensors' own limit


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A complete model. `commit` is None for a folder of the user's own."""

    folder: Path
    commit: str | None


class ModelStore:
    """The state of the model's files on disk, from the manifest and the files' sizes and times.

    Other processes may change them: `refresh` looks at the disk, on a thread.
    """

    def __init__(self, data_dir: Path, spec: ModelSpec, revision: str, loader: Loader) -> None:
        self.spec = spec
        self.root = cache_root(data_dir)
        self.revision = None if spec.path else revision
        self.needs_code = loader == "transformers"
        self._snapshot: Snapshot | None = None

    @property
    def path(self) -> Path | None:
        """The complete model's folder, or its file; None where it was not on disk at the last `refresh`."""
        return self._snapshot.folder if self._snapshot else None

    @property
    def commit(self) -> str | None:
        """The commit of the complete model, None for one of the user's own."""
        return self._snapshot.commit if self._snapshot else None

    async def refresh(self) -> Snapshot | None:
        """Return the complete model, if it is on disk now."""
        self._snapshot = await asyncio.to_thread(self.find_snapshot)
        return self._snapshot

    async def size_bytes(self) -> int:
        """Return the size of the downloaded files, which `delete` would free."""
        return await asyncio.to_thread(self._cache.size_bytes) if self._cache else 0

    async def delete(self) -> int:
        """Delete the downloaded files, and return their size in bytes.

        Raises ModelUnusable for files of the user's own, StorageFailed.
        """
        if self._cache is None:
            raise ModelUnusable(f"{self.spec.name} was not downloaded by this service: delete it by hand.")
        try:
            return await asyncio.to_thread(self._cache.delete)
        except OSError as error:
            raise StorageFailed(f"The model cannot be deleted: {error.strerror or error}.") from error

    @property
    def _cache(self) -> HubCache | None:
        return None if self.spec.repo_id is None else HubCache(self.root, self.spec.repo_id)

    def find_snapshot(self) -> Snapshot | None:
        """Return the complete model, if it is on disk now. Blocks."""
        if self.spec.path is not None:
            return Snapshot(self.spec.path, None) if _has_weights(self.spec.path) else None
        cache = self._cache
        if cache is None or self.revision is None:
            return None
        record = cache.read_manifest(self.revision)
        if record is None or (self.needs_code and not record.code) or not cache.is_intact(record):
            return None
        return Snapshot(cache.snapshot(record.commit), record.commit)


def import_folder(
    source: Path, data_dir: Path, spec: ModelSpec, revision: str, on_progress: OnProgress
) -> str:
    """Copy a model from a folder into the hub cache; return the name that stands for its commit.

    For machines without a connection. `source` is a plain folder, or a snapshot in a hub cache. Blocks.
    Raises ModelUnusable, DownloadDamaged or StorageFailed.
    """
    if spec.repo_id is None:
        raise ModelUnusable("A model in a folder of your own is used in place; there is nothing to import.")
    try:
        cache = HubCache(cache_root(data_dir), spec.repo_id)
        return _import(source, cache, revision, on_progress)
    except OSError as error:
        raise StorageFailed(f"The model cannot be copied: {error.strerror or error}.") from error


def _import(source: Path, cache: HubCache, revision: str, on_progress: OnProgress) -> str:
    if not (source.is_dir() and _has_weights(source)):
        raise ModelUnusable(f"{source} is not a folder with a *{WEIGHTS_SUFFIX} file.")
    names = select_files((path.name for path in source.iterdir() if path.is_file()), code=True)
    files = [source / name for name in sorted(names)]
    total = sum(path.stat().st_size for path in files)
    blobs = cache.blob("")
    blobs.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(blobs).free
    if total > free:
        raise StorageFailed(
            f"The model needs {format_bytes(total)}; the data folder's disk has {format_bytes(free)} free."
        )
    done = 0

    def count(step: int) -> None:
        nonlocal done
        done += step
        on_progress(100 * done / total, f"Copying, {format_bytes(done)} of {format_bytes(total)}")

    hashes = {path.name: _copy(path, cache, count) for path in files}
    summary = "".join(f"{name} {sha256}\n" for name, sha256 in sorted(hashes.items()))
    commit = f"local-{hashlib.sha256(summary.encode()).hexdigest()[:34]}"
    for name, sha256 in hashes.items():
        cache.link(commit, name, sha256)
    cache.write_manifest(revision, commit, hashes, code=any(name.endswith(".py") for name in hashes))
    return commit


def _copy(source: Path, cache: HubCache, count: Callable[[int], None]) -> str:
    """Copy a file to the cache's blobs, and return its SHA-256, which names the blob."""
    if source.suffix == WEIGHTS_SUFFIX and not _is_whole(source):
        raise DownloadDamaged(f"{source.name} is cut short or damaged and was not copied.")
    part = cache.partial(f"import-{uuid.uuid4().hex}")
    digest = hashlib.sha256()
    try:
        with source.open("rb") as original, part.open("wb") as copy:
            while chunk := original.read(CHUNK_BYTES):
                digest.update(chunk)
                copy.write(chunk)
                count(len(chunk))
        flush_to_disk(part)
        sha256 = digest.hexdigest()
        blob = cache.blob(sha256)
        # What is there already keeps its time of change, by which other records know it.
        if not blob.is_file() or hash_file(blob, lambda _: None) != sha256:
            replace_with_retry(part, blob)
    finally:
        part.unlink(missing_ok=True)
    return sha256


def _is_whole(weights: Path) -> bool:
    """Whether a safetensors file is as long as its header says; the hub's hash is not known here."""
    try:
        with weights.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size)) if size <= MAX_HEADER_BYTES else {}
        ends = [facts["data_offsets"][1] for name, facts in header.items() if name != "__metadata__"]
        return bool(ends) and weights.stat().st_size == 8 + size + max(ends)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return False


def _has_weights(path: Path) -> bool:
    """Whether a path is of a model: a folder with weights, or a file of weights."""
    if path.suffix == WEIGHTS_SUFFIX and path.is_file():
        return True
    try:
        return bool(select_weights(each.name for each in path.iterdir()))
    except OSError:
        return False
