"""The path of an upload through the supervisor, from its route to the worker's process."""

import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

import httpx2
import pytest

from shared.messages import RemovalJob, Remove
from supervisor.api.removal_forms import UploadForm
from supervisor.api.uploads import InputImage
from supervisor.app import create_app
from supervisor.jobs.job import Job
from supervisor.models.store import ModelStore
from supervisor.settings import Settings, load_settings
from tests.photos import wish
from tests.service import OBEYS, ROOT

CARRIERS = (UploadForm, InputImage, Job, RemovalJob, Remove)
MOST_MODULES = 9


def settings_of(folder: Path) -> Settings:
    """Return settings with a fake worker."""
    return load_settings(
        ["--data-dir", str(folder), "--temp-dir", str(folder / "temp"), f"--builtin-worker={OBEYS}"]
    )


async def upload(settings: Settings, photo: bytes, **options: str) -> None:
    """Run the application, and have a photo done."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            files = {"file": ("photo.png", photo)}
            answer = await client.post("/api/v1/remove/upload", files=files, data=options)
            assert answer.status_code == 200, answer.text
            task = app.state.container.tasks.get(answer.json()["task_id"])
            await asyncio.wait_for(task.wait(), 30)
            assert task.status == "complete"


@contextmanager
def carriers_traced() -> Iterator[list[str]]:
    """Record the supervisor's modules whose functions are called with the upload, in order."""
    path: list[str] = []

    def trace(frame: FrameType, event: str, _: Any) -> None:
        file = frame.f_code.co_filename
        if event != "call" or f"{ROOT}/supervisor/" not in file or frame.f_code.co_name.startswith("__"):
            return
        names = frame.f_code.co_varnames[: frame.f_code.co_argcount + frame.f_code.co_kwonlyargcount]
        if any(isinstance(frame.f_locals.get(name), CARRIERS) for name in names if name != "self"):
            module = Path(file).relative_to(ROOT / "supervisor").as_posix()
            if module not in path:
                path.append(module)

    sys.setprofile(trace)
    try:
        yield path
    finally:
        sys.setprofile(None)


def test_an_upload_crosses_few_modules(tmp_path: Path) -> None:
    """Each is one that a maintainer has to read to follow it."""
    with carriers_traced() as path:
        asyncio.run(upload(settings_of(tmp_path), wish(), model="builtin"))
    assert path[0] == "api/routes/removals.py"
    assert path.index("workers/process.py") < MOST_MODULES, path


def test_the_event_loop_reads_no_manifest_for_an_upload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a network file system each upload by `auto` would hold up every other client."""
    threads: list[threading.Thread] = []
    find_snapshot = ModelStore.find_snapshot

    def find(self: ModelStore) -> Any:
        threads.append(threading.current_thread())
        return find_snapshot(self)

    monkeypatch.setattr(ModelStore, "find_snapshot", find)
    asyncio.run(upload(settings_of(tmp_path), wish(), model="auto"))
    assert threads
    assert threading.main_thread() not in threads


def test_a_large_upload_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linked into the job's folder, not copied from a temporary file."""

    def refuse(*_: object) -> None:
        raise AssertionError("the upload was copied")

    for module in ("uploads", "linkable_file"):
        monkeypatch.setattr(f"supervisor.api.{module}.shutil", SimpleNamespace(copyfileobj=refuse))
    asyncio.run(upload(settings_of(tmp_path), wish("x" * 3_000_000), model="builtin"))
