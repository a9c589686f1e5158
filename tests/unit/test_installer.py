"""What the rest of the service may do while packages are replaced."""

import asyncio
import os
from pathlib import Path

import pytest

from supervisor.environment import report
from supervisor.environment.import_probe import Outcome
from supervisor.environment.install_plan import Wanted
from supervisor.environment.installer import Installs
from supervisor.environment.report import Environment
from supervisor.environment.requirements import PackageLists
from supervisor.tasks.task import Task, TaskKind, TaskStore


def test_no_import_is_tried_while_pip_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is half there would be told as broken, and on Windows could not be replaced."""
    tried: list[list[str]] = []

    async def probe(modules: list[str]) -> dict[str, Outcome]:
        tried.append(modules)
        return {}

    async def scenario() -> None:
        tasks, environment = TaskStore(60), Environment(PackageLists(), "native")
        installs = Installs(tasks, environment, [], tmp_path)

        async def run_pip(_task: Task, _work: Wanted) -> None:
            await environment.report()  # somebody asks for the status
            assert not tried

        monkeypatch.setattr(installs, "_run_pip", run_pip)
        await installs._install(tasks.create(TaskKind.INSTALL), Wanted(("tiny",), ()))
        await environment.report()
        assert len(tried) == 1

    monkeypatch.setattr(report, "probe", probe)
    asyncio.run(scenario())


def test_an_environment_that_cannot_be_written_is_told_before_gigabytes_are_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a container, or where root made the environment: pip would say so at its very end."""

    async def probe(_: list[str]) -> dict[str, Outcome]:
        return {}

    async def scenario() -> Task:
        lists = PackageLists(modules=(("found_nowhere", "found-nowhere"),))
        environment = Environment(lists, "native")
        installs = Installs(TaskStore(60), environment, [], tmp_path / "pip")
        monkeypatch.setattr(installs, "_run_pip", lambda *_: pytest.fail("pip was run"))
        task = await installs.start()
        assert task is not None
        await task.wait()
        return task

    monkeypatch.setattr(report, "probe", probe)
    monkeypatch.setattr(os, "access", lambda *_: False)
    task = asyncio.run(scenario())
    assert (task.code, "may not write" in task.message) == ("install_failed", True)
