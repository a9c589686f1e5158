"""Resumable, checksum-verified model download with retries.

`huggingface_hub` lists the files and authenticates the requests. Its own `snapshot_download` is not used: it
discards an interrupted file's bytes, and verifies no hash. The cache layout is the same: `shared.hub_cache`.
"""

import hashlib
import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from shared.errors import DownloadDamaged, DownloadFailed, StorageFailed
from shared.file_replace import replace_with_retry
from shared.hub_cache import HubCache, file_size, flush_to_disk, format_bytes, hash_file
from shared.messages import DownloadConfig
from worker.download.download_progress import DownloadProgress
from worker.download.hub import Hub, HubFile, RepoFiles, RetryableError

LISTING_BACKOFF_S = (0.5, 1.0)  # short: without a connection, the user should know soon
TRANSFER_BACKOFF_S = (0.5, 1.0, 2.0, 4.0, 8.0)  # between attempts without a new byte
MAX_RETRY_AFTER_S = 120.0  # the hub's rate limits are per five minutes
LOCK_POLL_S = 0.5
log = logging.getLogger("worker.download")


class Downloader:
    """Downloads one model. After a kill at any moment, the next run resumes."""

    def __init__(self, cache: HubCache, config: DownloadConfig, progress: DownloadProgress) -> None:
        self._cache = cache
        self._config = config
        self._progress = progress
        self._hub = Hub(config.repo_id, config.revision)
        self._hashes: dict[str, str] = {}  # SHA-256 of the verified files, by name

    def run(self) -> str:
        """Download and verify every file of the model, write the manifest, and return the commit.

        Raises DownloadFailed, StorageFailed, or the OSError of a disk that cannot be written.
        """
        self._progress.set_message("Asking the hub")
        self._cache.folder.mkdir(parents=True, exist_ok=True)
        with self._lock():
            try:
                repo_files = self._list_files()
            except DownloadFailed:
                commit = self._verify_offline()
                if commit is None:
                    raise
                return commit
            self._download_missing(repo_files)
            self._write_manifest(repo_files.commit, code=self._config.code)
        return repo_files.commit

    def _download_missing(self, repo_files: RepoFiles) -> None:
        self._progress.total_bytes = sum(file.size for file in repo_files.files)
        missing = []
        for file in repo_files.files:
            if self._reuse_existing(file, repo_files.commit):
                self._progress.present_bytes += file.size
            else:
                missing.append(file)
        partial = {file.name: self._measure_partial(file) for file in missing}
        self._progress.present_bytes += sum(partial.values())
        self._check_free_space(sum(file.size - partial[file.name] for file in missing))
        for file in missing:
            self._download_file(file, repo_files.commit)

    def _list_files(self) -> RepoFiles:
        backoff = RetryBackoff(self._progress, LISTING_BACKOFF_S)
        while True:
            try:
                return self._hub.list_files(code=self._config.code)
            except RetryableError as error:
                backoff.wait(error)

    def _verify_offline(self) -> str | None:
        """Return the commit of a snapshot whose files still match its manifest, else None.

        It verifies the hashes, since a copied or restored folder has other modification times.
        """
        manifest = self._cache.read_manifest(self._config.revision)
        if manifest is None or (self._config.code and not manifest.code):
            return None
        self._progress.total_bytes = sum(entry.size for entry in manifest.files.values())
        for name, entry in manifest.files.items():
            path = self._cache.snapshot(manifest.commit) / name
            if file_size(path) != entry.size or self._hash(path) != entry.sha256:
                return None
            self._progress.present_bytes += entry.size
            self._hashes[name] = entry.sha256
        self._write_manifest(manifest.commit, code=manifest.code)
        return manifest.commit

    def _reuse_existing(self, file: HubFile, commit: str) -> bool:
        """Return whether a file is present and intact; deletes it if it is damaged."""
        linked, blob = self._cache.snapshot(commit) / file.name, self._cache.blob(file.etag)
        for path in (linked, blob):
            if self._is_intact(path, file):
                if path is blob:
                    self._cache.link(commit, file.name, file.etag)
                return True
            path.unlink(missing_ok=True)
        return False

    def _measure_partial(self, file: HubFile) -> int:
        """Return the size of a file's partial download; deletes one that exceeds the file."""
        part = self._cache.partial(file.etag)
        if file_size(part) > file.size:
            part.unlink()
        return file_size(part)

    def _check_free_space(self, needed_bytes: int) -> None:
        free_bytes = shutil.disk_usage(self._cache.folder).free
        if needed_bytes > free_bytes:
            raise StorageFailed(
                f"The model needs {format_bytes(needed_bytes)} more; "
                f"the data folder's disk has {format_bytes(free_bytes)} free."
            )

    def _download_file(self, file: HubFile, commit: str) -> None:
        """Download and verify one file, and link it into the snapshot."""
        part = self._cache.partial(file.etag)
        part.parent.mkdir(parents=True, exist_ok=True)
        attempts = 2 if file_size(part) else 1  # a damaged partial download is restarted from zero
        for _ in range(attempts):
            try:
                self._complete_partial(part, file, commit)
            except DownloadDamaged:
                self._discard(part)
                raise
            if self._is_intact(part, file):
                flush_to_disk(part)
                replace_with_retry(part, self._cache.blob(file.etag))
                self._cache.link(commit, file.name, file.etag)
                return
            self._discard(part)
        raise DownloadDamaged(f"{file.name} arrived damaged and was not kept; download again.")

    def _complete_partial(self, part: Path, file: HubFile, commit: str) -> None:
        """Append the missing bytes to a partial download; retries interrupted connections."""
        part.touch()
        self._progress.set_message(f"Fetching {file.name}")
        backoff = RetryBackoff(self._progress, TRANSFER_BACKOFF_S)
        longest = file_size(part)
        while file_size(part) < file.size:
            try:
                self._append_response(part, file, commit)
                error = RetryableError("The hub sent less of a file than it announced.")
            except RetryableError as interruption:
                error = interruption
            if file_size(part) > longest:
                longest = file_size(part)
                backoff = RetryBackoff(self._progress, TRANSFER_BACKOFF_S)
            if file_size(part) < file.size:
                backoff.wait(error)

    def _append_response(self, part: Path, file: HubFile, commit: str) -> None:
        """Append the bytes of one response to a partial download."""
        offset = file_size(part)
        with self._hub.stream_file(commit, file, offset) as (start, chunks), part.open("rb+") as out:
            self._progress.present_bytes -= offset - start
            self._progress.start_transfer()
            out.truncate(start)
            out.seek(start)
            for chunk in chunks:
                out.write(chunk)
                out.flush()  # a kill must not lose received bytes
                self._progress.present_bytes += len(chunk)
                if out.tell() > file.size:  # the verification then fails
                    break

    def _discard(self, part: Path) -> None:
        self._progress.present_bytes -= file_size(part)
        part.unlink()

    def _is_intact(self, path: Path, file: HubFile) -> bool:
        """Whether a file has the hub's size and hash."""
        if not path.is_file() or file_size(path) != file.size:
            return False
        sha256 = self._hash(path)
        if sha256 != file.etag and (file.in_lfs or _git_sha1(path) != file.etag):
            return False
        self._hashes[file.name] = sha256
        return True

    def _hash(self, path: Path) -> str:
        self._progress.start_verification(file_size(path))
        return hash_file(path, self._progress.add_verified)

    def _write_manifest(self, commit: str, *, code: bool) -> None:
        self._cache.write_manifest(self._config.revision, commit, self._hashes, code=code)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Wait for exclusive access among the processes that download the same model to the same folder."""
        path = self._cache.root / ".locks" / self._cache.name / "download.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        while not self._try_acquire(lock):
            self._progress.set_message("Waiting for another download of the same model")
        try:
            yield
        finally:
            lock.release()

    def _try_acquire(self, lock: FileLock) -> bool:
        try:
            lock.acquire(timeout=LOCK_POLL_S)
        except Timeout:
            return False
        except NotImplementedError:  # some network drives do not support locks
            log.warning("download lock not acquired", extra={"reason": "no file locks in the data folder"})
        return True


class RetryBackoff:
    """Retry back-off: how many consecutive retries, and the waits before them, at least `Retry-After`."""

    def __init__(self, progress: DownloadProgress, waits_s: tuple[float, ...]) -> None:
        self._progress = progress
        self._waits_s = iter(waits_s)

    def wait(self, error: RetryableError) -> None:
        """Sleep before the next attempt. Raises DownloadFailed when the retries are exhausted."""
        wait_s = next(self._waits_s, None)
        if wait_s is None or error.retry_after_s > MAX_RETRY_AFTER_S:
            raise DownloadFailed(str(error)) from error
        wait_s = max(wait_s, error.retry_after_s)
        log.warning("download retried", extra={"reason": str(error), "wait_s": wait_s})
        self._progress.set_message(f"{error} Trying again in {wait_s:g} s")
        time.sleep(wait_s)


def _git_sha1(path: Path) -> str:
    """Return the git blob hash of a file, the hub's etag for files outside LFS."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
