"""Uploads to a durable spool whose disk fails, or whose service ends, before the client has its answer."""

import asyncio
import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.datastructures import UploadFile

from shared.errors import StorageFailed
from shared.messages import RemovalJob, RemovalResult
from shared.options import RemovalOptions
from supervisor.api.uploads import InputImage, Submission, Uploads, fingerprint
from supervisor.jobs import records
from supervisor.jobs.idempotency import IdempotencyKeys
from supervisor.jobs.job import BACKGROUND, SOURCE, Callback
from supervisor.jobs.recovery import read_spool
from supervisor.models.registry import Models
from supervisor.tasks.task import Task
from supervisor.workers.spec import OnProgress
from tests.dispatching import Bench, ScriptedWorker, finished
from tests.photos import wish

TIMEOUT_S = 5


async def finish(job: RemovalJob, _: OnProgress) -> RemovalResult:
    """Succeed."""
    return finished(job)


async def hang(_: RemovalJob, __: OnProgress) -> RemovalResult:
    """Never end."""
    await asyncio.Event().wait()
    raise AssertionError


class DurableBench(Bench):
    """A dispatcher with a durable spool, and the uploads that reach it."""

    def __init__(self, folder: Path, behave: Callable[..., Any]) -> None:
        super().__init__(folder, [ScriptedWorker(behave)])
        self.spool.durable = True
        models = cast("Models", self.models)
        self.uploads = Uploads(self.dispatcher, self.spool, IdempotencyKeys(), models, self.metrics, 10**6)

    async def upload(self, key: str | None = None) -> Task:
        """Upload a photo."""
        image = InputImage("file", UploadFile(io.BytesIO(wish()), filename="a.png"))
        return await self.uploads.accept(RemovalOptions(model="builtin"), image, Submission("one", key))


def job_folders(spool: Path) -> list[str]:
    """Return the names of what is in a spool folder."""
    return [path.name for path in spool.iterdir()]


def fail_sync(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let accepted jobs be synced to a broken disk; return a function that repairs it."""
    sync = records.sync_all

    async def refuse(*paths: Path) -> None:
        if any(path.name == records.ACCEPTED for path in paths):
            raise OSError(5, "Input/output error")
        await sync(*paths)

    monkeypatch.setattr(records, "sync_all", refuse)
    return lambda: monkeypatch.setattr(records, "sync_all", sync)


@pytest.mark.parametrize("behave", [finish, hang])
def test_an_upload_that_cannot_be_synced_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behave: Callable[..., Any]
) -> None:
    """Whether a worker has finished it already or not: its client got 507, and will send it again."""
    bench = DurableBench(tmp_path, behave)
    repair = fail_sync(monkeypatch)

    async def scenario() -> None:
        with pytest.raises(StorageFailed):
            await bench.upload("key")
        assert job_folders(tmp_path) == []
        repair()
        again = await bench.upload("key")
        assert [each.job.id for each in read_spool(tmp_path)] == [again.id]

    bench.run(scenario)


@pytest.mark.parametrize("moment", ["before the end", "during the end"])
def test_an_upload_that_the_shutdown_cancels_does_not_run_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Its client gets 503, and sends it to the next service, which would run both."""
    syncing = asyncio.Event()

    async def wait(*_: Path) -> None:
        syncing.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(records, "sync_all", wait)
    bench = DurableBench(tmp_path, hang)

    async def scenario() -> None:
        request = asyncio.create_task(bench.upload())
        await syncing.wait()
        if moment == "during the end":
            await bench.dispatcher.close()
            assert len(read_spool(tmp_path)) == 1
        monkeypatch.undo()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(request, TIMEOUT_S)
        assert job_folders(tmp_path) == []

    bench.run(scenario)


def test_an_upload_that_cannot_be_synced_while_the_service_ends_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dispatcher refuses to cancel it, and leaves it for the next start."""
    syncing, broken = asyncio.Event(), asyncio.Event()

    async def fail(*_: Path) -> None:
        syncing.set()
        await broken.wait()
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(records, "sync_all", fail)
    bench = DurableBench(tmp_path, hang)

    async def scenario() -> None:
        request = asyncio.create_task(bench.upload())
        await syncing.wait()
        await bench.dispatcher.drain(0)
        broken.set()
        await asyncio.sleep(0.1)
        await bench.dispatcher.close()
        with pytest.raises(StorageFailed):
            await asyncio.wait_for(request, TIMEOUT_S)
        assert job_folders(tmp_path) == []

    bench.run(scenario)


UPLOAD = {SOURCE: InputImage("file", UploadFile(io.BytesIO(), size=7, filename="a.png"))}
WEBP = RemovalOptions(format="webp")
HOOK = Callback("https://shop.example/hook", "http://localhost")


def test_the_fingerprint_of_a_request_is_the_same_in_later_versions() -> None:
    """A client repeats it across an update, which may have added options."""
    request = b'{"callback_url": null, "images": {"source": ["a.png", 7]}, "options": {"format": "webp"}}'
    assert fingerprint(WEBP, UPLOAD, None) == hashlib.sha256(request).hexdigest()


def test_the_fingerprint_tells_requests_apart() -> None:
    """By each of their parts; but not by the address of this service, which may have several names."""
    url = {SOURCE: InputImage("url", "https://shop.example/a.png")}
    requests = [
        (WEBP, UPLOAD, None),
        (RemovalOptions(), UPLOAD, None),
        (WEBP, url, None),
        (WEBP, UPLOAD | {BACKGROUND: url[SOURCE]}, None),
        (WEBP, UPLOAD, HOOK),
        (WEBP, UPLOAD, replace(HOOK, url="https://shop.example/other")),
    ]
    assert len({fingerprint(*request) for request in requests}) == len(requests)
    assert fingerprint(WEBP, UPLOAD, HOOK) == fingerprint(WEBP, UPLOAD, replace(HOOK, base_url="http://shop"))
