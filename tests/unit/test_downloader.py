"""The endless cases: hubs that never get better must not keep a download busy for ever."""

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
from worker.download import downloader
from worker.download.download_progress import Meter
from worker.download.downloader import Fetch
from worker.download.hub import Hub, HubFile, Interrupted, Listing

CONTENT = bytes(range(256)) * 40
ETAG = hashlib.sha256(CONTENT).hexdigest()
FILE = HubFile("model.safetensors", len(CONTENT), ETAG, in_lfs=True)
COMMIT = "c" * 40


class ScriptedHub(Hub):
    """Answers from memory: `answer` says what one request for a file brings."""

    def __init__(self) -> None:
        super().__init__("me/mine", "main")
        self.requests = 0
        self.listings = 0
        self.reachable = True

    def listing(self, *, code: bool) -> Listing:
        """Return the one file."""
        assert code is False
        self.listings += 1
        if not self.reachable:
            raise Interrupted("There is no connection.")
        return Listing(COMMIT, [FILE])

    def answer(self, offset: int) -> tuple[int, Iterator[bytes]]:
        """Bring all that was asked for."""
        return offset, iter([CONTENT[offset:]])

    @contextmanager
    def opened(self, commit: str, file: HubFile, offset: int) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Answer as the script says."""
        assert (commit, file) == (COMMIT, FILE)
        self.requests += 1
        yield self.answer(offset)


class Trickle(ScriptedHub):
    """Brings a hundred bytes a connection."""

    def answer(self, offset: int) -> tuple[int, Iterator[bytes]]:
        """Bring a little, then break off."""
        return offset, self.little(offset)

    def little(self, offset: int) -> Iterator[bytes]:
        """Yield a hundred bytes."""
        yield CONTENT[offset : offset + 100]
        raise Interrupted("The connection broke off.")


class Dead(ScriptedHub):
    """Accepts connections and says nothing."""

    def answer(self, offset: int) -> tuple[int, Iterator[bytes]]:
        """Time out."""
        raise Interrupted(f"It does not answer any more, at {offset}.")


class NeverWhole(ScriptedHub):
    """Cannot send part of a file, and never gets to its end."""

    def answer(self, offset: int) -> tuple[int, Iterator[bytes]]:
        """Begin anew each time."""
        assert offset <= 6000
        return 0, iter([CONTENT[:6000]])


class Short(ScriptedHub):
    """Has less than it announces."""

    def answer(self, offset: int) -> tuple[int, Iterator[bytes]]:
        """Bring what there is, then nothing."""
        return offset, iter([CONTENT[offset:9000]])


class TooLong(ScriptedHub):
    """Does not stop."""

    def answer(self, offset: int) -> tuple[int, Iterator[bytes]]:
        """Send for ever."""
        return offset, iter(lambda: b"x" * 1000, b"")


class Refusing(ScriptedHub):
    """Says that the file ends before what is asked for."""

    def answer(self, offset: int) -> tuple[int, Iterator[bytes]]:
        """Refuse any continuation."""
        if offset:
            raise DownloadDamaged
        return 0, iter([CONTENT[:5000]])


class Busy(ScriptedHub):
    """Is asked too much, once."""

    def __init__(self, wait_s: float) -> None:
        super().__init__()
        self.wait_s = wait_s

    def listing(self, *, code: bool) -> Listing:
        """Ask to wait, the first time."""
        told = super().listing(code=code)
        if self.listings == 1:
            raise Interrupted("The hub answered 429: it asks to wait.", self.wait_s)
        return told


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HubCache:
    """An empty cache, and no waiting."""
    monkeypatch.setattr(downloader, "ASKING_WAITS_S", (0.0,) * 2)
    monkeypatch.setattr(downloader, "FILLING_WAITS_S", (0.0,) * 5)
    return HubCache(cache_root(tmp_path), "me/mine")


def run(hub: ScriptedHub, cache: HubCache) -> list[tuple[float, str]]:
    """Download from a hub, and return what was told."""
    told: list[tuple[float, str]] = []
    config = DownloadConfig("me/mine", "main", str(cache.root), code=False)
    with Meter(lambda percent, message, _: told.append((percent, message))) as meter:
        one = Fetch(cache, config, meter)
        one._hub = hub
        one.run()
    return told


def partial(cache: HubCache) -> int:
    """Return how many bytes are kept for another try; -1 for none at all."""
    path = cache.partial(ETAG)
    return path.stat().st_size if path.exists() else -1


def test_a_line_that_brings_a_little_each_time_gets_there(cache: HubCache) -> None:
    """More breaks than are allowed in a row, but never without a new byte."""
    hub = Trickle()
    told = run(hub, cache)
    assert hub.requests == 103
    assert told[-1] == (100, "Checking")
    assert (cache.snapshot(COMMIT) / FILE.name).read_bytes() == CONTENT
    assert cache.read_manifest("main") is not None


@pytest.mark.parametrize(
    ("kind", "requests", "kept"),
    [(Dead, 6, 0), (NeverWhole, 6, 6000), (Short, 6, 9000)],
)
def test_a_hub_that_never_gets_on_is_given_up_and_what_came_is_kept(
    cache: HubCache, kind: Any, requests: int, kept: int
) -> None:
    """The user is told, and may try another day."""
    hub = kind()
    with pytest.raises(DownloadFailed) as caught:
        run(hub, cache)
    assert (hub.requests, caught.value.code, partial(cache)) == (requests, "download_failed", kept)
    assert cache.read_manifest("main") is None
    run(ScriptedHub(), cache)
    assert (cache.snapshot(COMMIT) / FILE.name).read_bytes() == CONTENT


def test_a_hub_that_asks_to_wait_is_asked_again_no_sooner(
    cache: HubCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked again at once, it would count that as well; and nobody waits for hours without a word."""
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    run(Busy(wait_s=7), cache)
    assert waited == [7]
    with pytest.raises(DownloadFailed, match="asks to wait"):
        run(Busy(wait_s=3600), HubCache(cache.root / "new", "me/mine"))
    assert waited == [7]


@pytest.mark.parametrize("kind", [TooLong, Refusing])
def test_what_cannot_be_the_file_is_not_kept(cache: HubCache, kind: Any) -> None:
    """Kept, it would spoil every later try."""
    hub = kind()
    with pytest.raises(DownloadDamaged):
        run(hub, cache)
    assert (hub.requests <= 2, partial(cache)) == (True, -1)
    run(ScriptedHub(), cache)
    assert (cache.snapshot(COMMIT) / FILE.name).read_bytes() == CONTENT


def test_a_whole_part_is_checked_and_not_fetched(cache: HubCache) -> None:
    """Killed between the last byte and the check."""
    path = cache.partial(ETAG)
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    hub = ScriptedHub()
    run(hub, cache)
    assert hub.requests == 0


def test_without_a_hub_only_what_the_record_proves_is_complete(cache: HubCache) -> None:
    """A name and a size are no proof."""
    hub = ScriptedHub()
    hub.reachable = False
    with pytest.raises(DownloadFailed, match="no connection"):
        run(hub, cache)
    assert hub.listings == 3
    run(ScriptedHub(), cache)
    blob = cache.blob(ETAG)
    blob.write_bytes(CONTENT)
    record = cache.read_manifest("main")
    assert record is not None
    assert not cache.is_intact(record)
    run(hub, cache)
    record = cache.read_manifest("main")
    assert record is not None
    assert cache.is_intact(record)
    blob.write_bytes(CONTENT[::-1])
    with pytest.raises(DownloadFailed, match="no connection"):
        run(hub, cache)
    assert not cache.is_intact(record)
