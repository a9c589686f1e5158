"""The downloader's retries, resumption and verification, against scripted hubs."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from shared.errors import DownloadDamaged, DownloadFailed
from shared.hub_cache import HubCache, cache_root
from shared.messages import DownloadConfig
from tests.disk_record import DiskRecord
from worker.download import downloader
from worker.download.download_progress import DownloadProgress
from worker.download.downloader import Downloader
from worker.download.hub import Hub, HubFile, RepoFiles, RetryableError

CONTENT = bytes(range(256)) * 40
ETAG = hashlib.sha256(CONTENT).hexdigest()
FILE = HubFile("model.safetensors", len(CONTENT), ETAG, in_lfs=True)
COMMIT = "c" * 40


class ScriptedHub(Hub):
    """A hub in memory: `answer` returns the response to one file request."""

    def __init__(self) -> None:
        super().__init__("me/mine", "main")
        self.requests = 0
        self.listings = 0
        self.reachable = True

    def list_files(self, *, code: bool) -> RepoFiles:
        """Return one file."""
        assert code is False
        self.listings += 1
        if not self.reachable:
            raise RetryableError("There is no connection.")
        return RepoFiles(COMMIT, [FILE])

    def answer(self, offset: int) -> tuple[int, Iterator[bytes]]:
        """Return the requested range."""
        return offset, iter([CONTENT[offset:]])

    @contextmanager
    def stream_file(self, commit: str, file: HubFile, offset: int) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Return the scripted response."""
        assert (commit, file) == (COMMIT, FILE)
        self.requests += 1
        yield self.answer(offset)


class Trickle(ScriptedHub):
    """Sends a hundred bytes per connection."""

    def answer(self, offset: int) -> tuple[int, Iterator[bytes]]:
        """Send a little, then break the connection."""
        return offset, self.send_little(offset)

    def send_little(self, offset: int) -> Iterator[bytes]:
        """Yield a hundred bytes."""
        yield CONTENT[offset : offset + 100]
        raise RetryableError("The connection broke off.")


class Dead(ScriptedHub):
    """Accepts connections and sends nothing."""

    def answer(self, offset: int) -> tuple[int, Iterator[bytes]]:
        """Time out."""
        raise RetryableError(f"It timed out, at {offset}.")


class NeverWhole(ScriptedHub):
    """Ignores ranges, and never sends the end of a file."""

    def answer(self, offset: int) -> tuple[int, Iterator[bytes]]:
        """Restart from the first byte each time."""
        assert offset <= 6000
        return 0, iter([CONTENT[:6000]])


class Short(ScriptedHub):
    """Sends less than it announces."""

    def answer(self, offset: int) -> tuple[int, Iterator[bytes]]:
        """Send what there is, then nothing."""
        return offset, iter([CONTENT[offset:9000]])


class TooLong(ScriptedHub):
    """Sends without end."""

    def answer(self, offset: int) -> tuple[int, Iterator[bytes]]:
        """Send an infinite stream."""
        return offset, iter(lambda: b"x" * 1000, b"")


class Refusing(ScriptedHub):
    """Rejects every range (416)."""

    def answer(self, offset: int) -> tuple[int, Iterator[bytes]]:
        """Reject a resumption."""
        if offset:
            raise DownloadDamaged
        return 0, iter([CONTENT[:5000]])


class Busy(ScriptedHub):
    """Rate-limits the first request."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__()
        self.retry_after_s = retry_after_s

    def list_files(self, *, code: bool) -> RepoFiles:
        """Answer 429 the first time."""
        repo_files = super().list_files(code=code)
        if self.listings == 1:
            raise RetryableError("The hub answered 429: it asks to wait.", self.retry_after_s)
        return repo_files


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HubCache:
    """An empty cache, and no back-off delays."""
    monkeypatch.setattr(downloader, "LISTING_BACKOFF_S", (0.0,) * 2)
    monkeypatch.setattr(downloader, "TRANSFER_BACKOFF_S", (0.0,) * 5)
    return HubCache(cache_root(tmp_path), "me/mine")


def run(hub: ScriptedHub, cache: HubCache) -> list[tuple[float, str]]:
    """Download from a hub, and return the reported percents and messages."""
    reports: list[tuple[float, str]] = []
    config = DownloadConfig("me/mine", "main", str(cache.root), code=False)
    with DownloadProgress(lambda percent, message, _: reports.append((percent, message))) as progress:
        download = Downloader(cache, config, progress)
        download._hub = hub
        download.run()
    return reports


def partial_bytes(cache: HubCache) -> int:
    """Return the size of the partial download; -1 if there is none."""
    path = cache.partial(ETAG)
    return path.stat().st_size if path.exists() else -1


def test_retries_start_over_after_every_new_byte(cache: HubCache) -> None:
    """A slow line breaks more often than there are retries, but never without progress."""
    hub = Trickle()
    reports = run(hub, cache)
    assert hub.requests == 103
    assert reports[-1] == (100, "Checking")
    assert (cache.snapshot(COMMIT) / FILE.name).read_bytes() == CONTENT
    assert cache.read_manifest("main") is not None


@pytest.mark.parametrize(
    ("kind", "requests", "kept"),
    [(Dead, 6, 0), (NeverWhole, 6, 6000), (Short, 6, 9000)],
)
def test_without_progress_the_retries_are_exhausted_and_the_partial_is_kept(
    cache: HubCache, kind: Any, requests: int, kept: int
) -> None:
    """A later download resumes it."""
    hub = kind()
    with pytest.raises(DownloadFailed) as caught:
        run(hub, cache)
    assert (hub.requests, caught.value.code, partial_bytes(cache)) == (requests, "download_failed", kept)
    assert cache.read_manifest("main") is None
    run(ScriptedHub(), cache)
    assert (cache.snapshot(COMMIT) / FILE.name).read_bytes() == CONTENT


def test_the_back_off_respects_retry_after_up_to_a_limit(
    cache: HubCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier retry counts against the rate limit; hours of waiting are an error instead."""
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    run(Busy(retry_after_s=7), cache)
    assert waited == [7]
    with pytest.raises(DownloadFailed, match="asks to wait"):
        run(Busy(retry_after_s=3600), HubCache(cache.root / "new", "me/mine"))
    assert waited == [7]


@pytest.mark.parametrize("kind", [TooLong, Refusing])
def test_a_damaged_partial_download_is_deleted(cache: HubCache, kind: Any) -> None:
    """It would make every later attempt fail."""
    hub = kind()
    with pytest.raises(DownloadDamaged):
        run(hub, cache)
    assert (hub.requests <= 2, partial_bytes(cache)) == (True, -1)
    run(ScriptedHub(), cache)
    assert (cache.snapshot(COMMIT) / FILE.name).read_bytes() == CONTENT


def test_a_complete_partial_download_is_verified_without_a_request(cache: HubCache) -> None:
    """After a kill between the last byte and the verification."""
    path = cache.partial(ETAG)
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    hub = ScriptedHub()
    run(hub, cache)
    assert hub.requests == 0


def test_without_the_hub_a_snapshot_is_verified_against_its_manifest(cache: HubCache) -> None:
    """By hashes; names and sizes are not enough."""
    hub = ScriptedHub()
    hub.reachable = False
    with pytest.raises(DownloadFailed, match="no connection"):
        run(hub, cache)
    assert hub.listings == 3
    run(ScriptedHub(), cache)
    blob = cache.blob(ETAG)
    blob.write_bytes(CONTENT)
    manifest = cache.read_manifest("main")
    assert manifest is not None
    assert not cache.is_intact(manifest)
    run(hub, cache)
    manifest = cache.read_manifest("main")
    assert manifest is not None
    assert cache.is_intact(manifest)
    blob.write_bytes(CONTENT[::-1])
    with pytest.raises(DownloadFailed, match="no connection"):
        run(hub, cache)
    assert not cache.is_intact(manifest)


def test_every_file_is_on_the_disk_before_its_name_and_the_manifest_is_last(
    cache: HubCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut at any moment, what the manifest names is complete."""
    record = DiskRecord(monkeypatch)
    run(ScriptedHub(), cache)
    assert record.renamed == [ETAG, "models--me--mine@main.json", "main"]
    assert record.not_flushed == []


def test_no_manifest_names_files_that_did_not_arrive(cache: HubCache) -> None:
    """The service would load a model that is not there."""
    with pytest.raises(DownloadFailed):
        run(Dead(), cache)
    assert cache.read_manifest("main") is None
