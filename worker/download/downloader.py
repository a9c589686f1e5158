"""Fetches a model's files from the hub: goes on where an earlier try stopped, and keeps only what is sound.

`huggingface_hub` says what there is and makes the requests. Its own `snapshot_download` is not used: when
it is interrupted it throws away what it has of a file, and it checks no hash. The files end up where it
would have put them, see `shared.hub_cache`.
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
from worker.download.download_progress import Meter
from worker.download.hub import Hub, HubFile, Interrupted, Listing

ASKING_WAITS_S = (0.5, 1.0)  # who has no connection is told soon
FILLING_WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0)  # in a row without a new byte, once the hub has answered
LONGEST_WAIT_S = 120.0  # the hub's limits are counted over five minutes
LOCK_POLL_S = 0.5
log = logging.getLogger("worker.fetch")


class Fetch:
    """One download. It may be killed at any moment: the next one goes on with what is there."""

    def __init__(self, cache: HubCache, config: DownloadConfig, meter: Meter) -> None:
        self._cache = cache
        self._config = config
        self._meter = meter
        self._hub = Hub(config.repo_id, config.revision)
        self._hashes: dict[str, str] = {}  # SHA-256 of the files that were found sound, by name

    def run(self) -> str:
        """Have every file of the model, checked and recorded, and return the commit.

        Raises a DownloadFailed, StorageFailed, or the OSError of a disk that cannot be written.
        """
        self._meter.say("Asking the hub")
        self._cache.folder.mkdir(parents=True, exist_ok=True)
        with self._alone():
            try:
                listing = self._listing()
            except DownloadFailed:
                commit = self._commit_by_record()
                if commit is None:
                    raise
                return commit
            self._complete(listing)
            self._record(listing.commit, code=self._config.code)
        return listing.commit

    def _complete(self, listing: Listing) -> None:
        self._meter.total = sum(file.size for file in listing.files)
        missing = []
        for file in listing.files:
            if self._is_here(file, listing.commit):
                self._meter.here += file.size
            else:
                missing.append(file)
        partial = {file.name: self._usable_part(file) for file in missing}
        self._meter.here += sum(partial.values())
        self._check_room(sum(file.size - partial[file.name] for file in missing))
        for file in missing:
            self._fetch(file, listing.commit)

    def _listing(self) -> Listing:
        patience = _Patience(self._meter, ASKING_WAITS_S)
        while True:
            try:
                return self._hub.listing(code=self._config.code)
            except Interrupted as error:
                patience.wait(error)

    def _commit_by_record(self) -> str | None:
        """Return the commit of a snapshot that was complete once and proves to be so still.

        A copied or restored folder has other times than the record; no hub is needed to see that it is whole.
        """
        record = self._cache.read_manifest(self._config.revision)
        if record is None or (self._config.code and not record.code):
            return None
        self._meter.total = sum(known.size for known in record.files.values())
        for name, known in record.files.items():
            path = self._cache.snapshot(record.commit) / name
            if file_size(path) != known.size or self._sha256(path) != known.sha256:
                return None
            self._meter.here += known.size
            self._hashes[name] = known.sha256
        self._record(record.commit, code=record.code)
        return record.commit

    def _is_here(self, file: HubFile, commit: str) -> bool:
        """Whether a file is there and sound; what is there and not sound is deleted."""
        shown, blob = self._cache.snapshot(commit) / file.name, self._cache.blob(file.etag)
        for path in (shown, blob):
            if self._is_sound(path, file):
                if path is blob:
                    self._cache.link(commit, file.name, file.etag)
                return True
            path.unlink(missing_ok=True)
        return False

    def _usable_part(self, file: HubFile) -> int:
        """Return how many bytes an earlier try has left of a file; more than there can be are deleted."""
        part = self._cache.partial(file.etag)
        if file_size(part) > file.size:
            part.unlink()
        return file_size(part)

    def _check_room(self, needed: int) -> None:
        free = shutil.disk_usage(self._cache.folder).free
        if needed > free:
            raise StorageFailed(
                f"The model needs {format_bytes(needed)} more; "
                f"the data folder's disk has {format_bytes(free)} free."
            )

    def _fetch(self, file: HubFile, commit: str) -> None:
        """Have one file, sound and in its place."""
        part = self._cache.partial(file.etag)
        part.parent.mkdir(parents=True, exist_ok=True)
        tries = 2 if file_size(part) else 1  # what was left may not be this file's: then all of it is fetched
        for _ in range(tries):
            try:
                self._fill(part, file, commit)
            except DownloadDamaged:
                self._drop(part)
                raise
            if self._is_sound(part, file):
                flush_to_disk(part)
                replace_with_retry(part, self._cache.blob(file.etag))
                self._cache.link(commit, file.name, file.etag)
                return
            self._drop(part)
        raise DownloadDamaged(f"{file.name} arrived damaged and was not kept; download again.")

    def _fill(self, part: Path, file: HubFile, commit: str) -> None:
        """Append to a part what it lacks of a file, through broken connections."""
        part.touch()
        self._meter.say(f"Fetching {file.name}")
        patience = _Patience(self._meter, FILLING_WAITS_S)
        longest = file_size(part)
        while file_size(part) < file.size:
            try:
                self._receive(part, file, commit)
                why = Interrupted("The hub sent less of a file than it announced.")
            except Interrupted as error:
                why = error
            if file_size(part) > longest:
                longest = file_size(part)
                patience = _Patience(self._meter, FILLING_WAITS_S)
            if file_size(part) < file.size:
                patience.wait(why)

    def _receive(self, part: Path, file: HubFile, commit: str) -> None:
        """Append to a part what one answer of the hub brings."""
        offset = file_size(part)
        with self._hub.opened(commit, file, offset) as (start, chunks), part.open("rb+") as out:
            self._meter.here -= offset - start
            self._meter.receive()
            out.truncate(start)
            out.seek(start)
            for chunk in chunks:
                out.write(chunk)
                out.flush()  # a kill must not lose what came
                self._meter.here += len(chunk)
                if out.tell() > file.size:  # too much is found out by the check
                    break

    def _drop(self, part: Path) -> None:
        self._meter.here -= file_size(part)
        part.unlink()

    def _is_sound(self, path: Path, file: HubFile) -> bool:
        """Whether a file holds exactly what the hub has."""
        if not path.is_file() or file_size(path) != file.size:
            return False
        sha256 = self._sha256(path)
        if sha256 != file.etag and (file.in_lfs or _git_sha1(path) != file.etag):
            return False
        self._hashes[file.name] = sha256
        return True

    def _sha256(self, path: Path) -> str:
        self._meter.check(file_size(path))
        return hash_file(path, self._meter.checked)

    def _record(self, commit: str, *, code: bool) -> None:
        self._cache.write_manifest(self._config.revision, commit, self._hashes, code=code)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait until no other process downloads the same model into the same folder."""
        path = self._cache.root / ".locks" / self._cache.name / "download.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        while not self._is_ours(lock):
            self._meter.say("Waiting for another download of the same model")
        try:
            yield
        finally:
            lock.release()

    def _is_ours(self, lock: FileLock) -> bool:
        try:
            lock.acquire(timeout=LOCK_POLL_S)
        except Timeout:
            return False
        except NotImplementedError:  # some network drives have no locks; then we do without
            log.warning("no locks in the data folder")
        return True


class _Patience:
    """How often in a row to try again, and how long to wait before: no less than the hub asks for."""

    def __init__(self, meter: Meter, waits_s: tuple[float, ...]) -> None:
        self._meter = meter
        self._waits_s = iter(waits_s)

    def wait(self, why: Interrupted) -> None:
        """Wait before another try. Raises DownloadFailed when there were enough."""
        wait_s = next(self._waits_s, None)
        if wait_s is None or why.wait_s > LONGEST_WAIT_S:
            raise DownloadFailed(str(why)) from why
        wait_s = max(wait_s, why.wait_s)
        log.warning("trying again", extra={"reason": str(why)})
        self._meter.say(f"{why} Trying again in {wait_s:g} s")
        time.sleep(wait_s)


def _git_sha1(path: Path) -> str:
    """Return git's name for a file's content, by which the hub knows its small files."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
