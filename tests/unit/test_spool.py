"""The folders of removals: what is in them, and when they are deleted."""

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.messages import RemovalResult
from shared.options import RemovalOptions
from supervisor.jobs.job import Job, StoredImage
from supervisor.jobs.spool import Spool
from supervisor.platform.private_dir import make_private_dir


def test_a_file_in_use_is_deleted_by_a_later_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows one that is being downloaded cannot be deleted: a photo stayed on the disk past its time."""
    store = Spool(tmp_path, 60)
    folder = make_private_dir(store.path("task", "source").parent)
    (folder / "photo.jpg").touch()

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "The process cannot access the file")

    with monkeypatch.context() as downloading:
        downloading.setattr(os, "unlink", refuse)
        asyncio.run(store.delete("task"))
        asyncio.run(store.delete_leftovers())
    assert list(tmp_path.rglob("photo.jpg"))
    asyncio.run(store.delete_leftovers())
    assert not list(tmp_path.iterdir())


def test_warnings_reach_clients_as_a_list(tmp_path: Path) -> None:
    """As JSON has no tuples."""
    whole = (0, 0, 1, 1)
    warnings = ("One frame.",)
    made = RemovalResult(
        *(1, 1, "png", "fake", "cpu", {}),
        subject=True,
        coverage=1.0,
        box=whole,
        frame=whole,
        warnings=warnings,
    )
    job = Job(
        id="bgremove_1",
        options=RemovalOptions(),
        image=StoredImage("source"),
        background=None,
        file_name="photo.png",
        client="one",
        submitted_at=datetime.now(UTC),
    )

    async def finish() -> Any:
        spool = Spool(tmp_path, 60)
        await spool.accept(job, {"source": Path.touch})
        return await spool.finish(job, made, {}, [])

    assert asyncio.run(finish())["warnings"] == ["One frame."]
