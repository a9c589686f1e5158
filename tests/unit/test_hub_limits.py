"""What the client of the model hub reads of responses that never end, come slowly, or hold nonsense."""

import gzip
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from shared.errors import DownloadDenied, DownloadFailed, ModelNotFound, ModelUnusable
from worker.download import hub
from worker.download.hub import Hub, RetryableError

CHUNK = b" " * 65_536
COMMIT, SHA256 = "c" * 40, "a" * 64
NO_SIZES: tuple[Any, ...] = (None, "7", -1, 1.5, 10**400, float("nan"), [])
Respond = Callable[[Callable[[httpx2.Request], httpx2.Response]], None]


@pytest.fixture
def respond(monkeypatch: pytest.MonkeyPatch) -> Respond:
    """Set the function that responds to every request."""

    def set_handler(handler: Callable[[httpx2.Request], httpx2.Response]) -> None:
        client = httpx2.Client(transport=httpx2.MockTransport(handler), follow_redirects=True)
        monkeypatch.setattr(hub, "get_session", lambda: client)

    return set_handler


def sibling(name: str = "model.safetensors", **fields: Any) -> dict[str, Any]:
    """Return a file's entry in the listing."""
    lfs = {"sha256": SHA256, "size": 7, "pointerSize": 134}
    return {"rfilename": name, "blobId": "b" * 40, "size": 7, "lfs": lfs} | fields


def listing(*siblings: Any, **fields: Any) -> bytes:
    """Return a listing."""
    return json.dumps({"id": "me/mine", "sha": COMMIT, "siblings": list(siblings), **fields}).encode()


class Endless(httpx2.SyncByteStream):
    """A body without an end; counts what is read of it."""

    def __init__(self, pause_s: float = 0.0) -> None:
        self.read_bytes = 0
        self._pause_s = pause_s

    def __iter__(self) -> Iterator[bytes]:
        while self.read_bytes < 100 * 1024**2:  # the test then fails, instead of the machine
            time.sleep(self._pause_s)
            self.read_bytes += len(CHUNK)
            yield CHUNK


def test_a_listing_without_end_is_refused_at_its_limit(respond: Respond) -> None:
    """Gigabytes of it would be in memory before the first is parsed."""
    body = Endless()
    respond(lambda _: httpx2.Response(200, stream=body))
    with pytest.raises(DownloadFailed, match="lists more than 17 MB of files for me/mine: check HF_ENDPOINT"):
        Hub("me/mine", "main").list_files(code=False)
    assert body.read_bytes <= hub.MAX_LISTING_BYTES + len(CHUNK)


def test_the_limit_counts_decompressed_bytes(respond: Respond) -> None:
    """A hub may compress a listing that was requested without compression."""
    packed = gzip.compress(listing() + b" " * hub.MAX_LISTING_BYTES)
    respond(lambda _: httpx2.Response(200, content=packed, headers={"Content-Encoding": "gzip"}))
    with pytest.raises(DownloadFailed, match="lists more than"):
        Hub("me/mine", "main").list_files(code=False)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, DownloadDenied),
        (404, ModelNotFound),
        (400, DownloadFailed),
        (429, RetryableError),
        (503, RetryableError),
    ],
)
def test_the_body_of_an_error_is_not_read(respond: Respond, status: int, error: type[Exception]) -> None:
    """Its status says all; neither a listing's nor a file's."""
    body = Endless()
    respond(lambda _: httpx2.Response(status, stream=body, headers={"X-Error-Code": "RepoNotFound"}))
    one = Hub("me/mine", "main")
    with pytest.raises(error):
        one.list_files(code=False)
    file = hub.HubFile("model.safetensors", 7, SHA256, in_lfs=True)
    with pytest.raises(error), one.stream_file(COMMIT, file, 0):
        pass
    assert body.read_bytes <= len(CHUNK)


def test_a_listing_that_trickles_times_out(respond: Respond, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of its reads is in time."""
    monkeypatch.setattr(hub, "LISTING_TIMEOUT_S", 0.1)
    body = Endless(pause_s=0.02)
    respond(lambda _: httpx2.Response(200, stream=body))
    with pytest.raises(RetryableError, match="timed out"):
        Hub("me/mine", "main").list_files(code=False)
    assert 2 <= body.read_bytes // len(CHUNK) < 20


@pytest.mark.parametrize("code", [False, True])
def test_a_repository_of_too_many_model_files_is_refused(respond: Respond, *, code: bool) -> None:
    """Each file takes requests, and a place in the manifest."""
    name = "code{}.py" if code else "model-{}.safetensors"
    files = [sibling(name.format(number)) for number in range(hub.MAX_MODEL_FILES + 1)]
    respond(lambda _: httpx2.Response(200, content=listing(sibling("shard.safetensors"), *files)))
    with pytest.raises(ModelUnusable, match=r"has 1,002 files of weights and code; .* 1,000 at most"):
        Hub("me/mine", "main").list_files(code=code)


def test_a_large_repository_with_one_model_is_listed(respond: Respond) -> None:
    """Repositories of trainings hold tens of thousands of logs and checkpoints; a name counts once."""
    others = [sibling(f"runs/2024-01-01/checkpoint-{n:07}/events.bin", oid="d" * 40) for n in range(45_000)]
    models = [
        sibling("model.safetensors"),
        sibling("model.safetensors"),
        sibling("a.py"),
        sibling("config.json"),
    ]
    respond(lambda _: httpx2.Response(200, content=listing(*others, *models)))
    listed = Hub("me/mine", "main").list_files(code=False)
    assert listed.commit == COMMIT
    assert [(file.name, file.size, file.etag) for file in listed.files] == [
        ("config.json", 7, SHA256),
        ("model.safetensors", 7, SHA256),
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"\xff\xfe\xfd",
        b"[" * 200_000,
        b'{"sha": "' + COMMIT.encode() + b'", "siblings": [' + b"9" * 5000 + b"]}",
        b"[1]",
        listing(sibling(), sha=7),
        listing(sibling(), sha=COMMIT + "/.."),
        listing(sibling(), siblings=None),
        listing("model.safetensors"),
        listing(sibling([])),  # type: ignore[arg-type]
        listing(sibling(lfs="x")),
        listing(sibling(lfs={"sha256": SHA256})),
        listing(sibling(lfs={"sha256": "../../x", "size": 7})),
        listing(sibling(lfs=None, blobId=None)),
        *[listing(sibling(lfs=None, size=size)) for size in NO_SIZES],
    ],
)
def test_a_listing_of_nonsense_is_not_that_of_a_hub(respond: Respond, content: bytes) -> None:
    """Sizes become sums and texts, hashes parts of paths."""
    respond(lambda _: httpx2.Response(200, content=content))
    with pytest.raises(DownloadFailed, match="not that of a model hub"):
        Hub("me/mine", "main").list_files(code=False)
