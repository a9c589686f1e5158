"""Installer: import probes are paused, and an unwritable environment fails early."""

import asyncio
import os
from contextlib import nullcontext
from pathlib import Path

import pytest

from supervisor.environment import report
from supervisor.environment.import_probe import Outcome
from supervisor.environment.install_plan import InstallPlan
from supervisor.environment.installer import Installer
from supervisor.environment.report import Environment
from supervisor.environment.requirements import PackageLists
from supervisor.tasks.task import Task, TaskKind
from supervisor.tasks.task_store import TaskStore


def test_no_import_is_probed_during_an_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A partially installed package would be reported as broken, and on Windows be locked."""
    probed: list[list[str]] = []

    async def probe(modules: list[str]) -> dict[str, Outcome]:
        probed.append(modules)
        return {}

    async def scenario() -> None:
        tasks, environment = TaskStore(60), Environment(PackageLists(), "native")
        installs = Installer(tasks, environment, nullcontext, tmp_path)

        async def run_pip(_task: Task, _plan: InstallPlan) -> None:
            await environment.report()  # a client requests the status
            assert not probed

        monkeypatch.setattr(installs, "_run_pip", run_pip)
        await installs._install(tasks.create(TaskKind.INSTALL), InstallPlan(("tiny",), ()))
        await environment.report()
        assert len(probed) == 1

    monkeypatch.setattr(report, "probe", probe)
    asyncio.run(scenario())


def test_an_unwritable_environment_fails_before_the_downloads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a container, or with an environment of root's: pip itself would fail after gigabytes."""

    async def probe(_: list[str]) -> dict[str, Outcome]:
        return {}

    async def scenario() -> Task:
        lists = PackageLists(modules=(("found_nowhere", "found-nowhere"),))
        environment = Environment(lists, "native")
        installs = Installer(TaskStore(60), environment, nullcontext, tmp_path / "pip")
        monkeypatch.setattr(installs, "_run_pip", lambda *_: pytest.fail("pip was run"))
        task = await installs.start()
        assert task is not None
        await task.wait()
        return task

    monkeypatch.setattr(report, "probe", probe)
    monkeypatch.setattr(os, "access", lambda *_: False)
    task = asyncio.run(scenario())
    assert (task.code, "not writable" in task.message) == ("install_failed", True)
