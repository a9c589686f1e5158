"""Uploads on their way into a removal's folder, when something breaks that nobody thought of."""

import asyncio
import io
import shutil
from pathlib import Path

import pytest
from starlette.datastructures import UploadFile

from shared.options import RemovalOptions
from supervisor.api.uploads import InputImage, Submission, Uploads
from supervisor.container import Address, Container
from supervisor.settings import load_settings
from tests.photos import wish
from tests.service import OBEYS, Service


class Torn(io.BytesIO):
    """A file that is looked at without trouble, and breaks when it is copied."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the signature only."""
        if size is not None and size > 64:
            raise RuntimeError("can't start new thread")
        return super().read(size)


def test_an_upload_that_breaks_for_whatever_reason_gives_its_place_back(tmp_path: Path) -> None:
    """After as many of these as there are places, every photo would be refused until a restart."""

    async def scenario() -> None:
        settings = load_settings(["--data-dir", str(tmp_path), "--temp-dir", str(tmp_path / "temp")])
        container = Container(settings, Address("127.0.0.1", 1))
        uploads = Uploads(
            container.dispatcher,
            container.spool,
            container.idempotency_keys,
            container.models,
            container.metrics,
            1000,
        )
        image = InputImage("file", UploadFile(Torn(wish()), filename="a.png"))
        with pytest.raises(RuntimeError):
            await uploads.accept(RemovalOptions(), image, Submission("client"))
        assert len(container.dispatcher.queue) == 0
        assert not list(container.tasks)
        assert not [
            path for path in container.spool.folder.rglob("*") if path.is_file() and path.name != "lock"
        ]
        await container.close()

    asyncio.run(scenario())


def test_large_uploads_need_no_folder_but_the_one_that_was_set(data_dir: Path, tmp_path: Path) -> None:
    """In a container with one writable folder they were refused; elsewhere they filled the system's own."""
    system, large = tmp_path / "system", wish("x" * 2_000_000)
    system.mkdir()
    variables = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(system))
    service = Service(data_dir, tmp_path / "temp", {"builtin_worker": OBEYS}, variables=variables)
    try:
        assert service.cut(large) == large
        shutil.rmtree(system)
        assert service.cut(large) == large
    finally:
        service.end()
