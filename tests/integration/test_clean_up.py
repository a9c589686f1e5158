"""The clean-up of expired tasks, against a real container and real files."""

import asyncio
from pathlib import Path

import pytest

from supervisor.container import Address, Container
from supervisor.platform.private_dir import make_private_dir
from supervisor.settings import load_settings
from supervisor.tasks.task import TaskKind


def test_one_failure_keeps_no_other_tasks_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads can run out for a moment: the photos of all tasks that expired then stayed until the end."""

    async def scenario() -> None:
        arguments = ["--data-dir", str(tmp_path), "--temp-dir", str(tmp_path / "temp"), "--retention-s=0.001"]
        container = Container(load_settings(arguments), Address("127.0.0.1", 1))
        folders = []
        for _ in range(4):
            task = container.tasks.create(TaskKind.REMOVE)
            source = container.spool.path(task.id, "source")
            make_private_dir(source.parent)
            source.write_bytes(b"photo")
            folders.append(source.parent)
            task.complete("done")
        await asyncio.sleep(0.01)
        delete, failures = container.spool.delete, ["can't start new thread"]

        async def fail_once(job_id: str) -> None:
            if failures:
                raise RuntimeError(failures.pop())
            await delete(job_id)

        monkeypatch.setattr(container.spool, "delete", fail_once)
        await container.clean()
        assert [folder.exists() for folder in folders].count(True) == 1
        assert len(list(container.tasks)) == 1  # which is still known, and tried again
        await container.clean()
        assert not any(folder.exists() for folder in folders)
        assert not list(container.tasks)
        await container.close()

    asyncio.run(scenario())
