"""Installer: runs pip for missing and broken packages, one install at a time, with the workers stopped."""

import asyncio
import logging
import os
import shutil
import sys
import sysconfig
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from pathlib import Path

from shared.errors import BgremoveError, Cancelled, InstallFailed, Stopping, StorageFailed
from shared.pip_cleanup import remove_partial_packages
from supervisor.environment import install_lock, pip, torch_index
from supervisor.environment.diagnostics import has_nvidia_gpu
from supervisor.environment.install_plan import (
    InstallPlan,
    PipCommand,
    merge_constraints,
    pip_commands,
    plan_install,
)
from supervisor.environment.inventory import loaded_versions, site_folders, version_text
from supervisor.environment.pip_progress import PipProgress, progress_bar_options
from supervisor.environment.report import Environment
from supervisor.platform.private_dir import make_private_dir
from supervisor.tasks.task import Task, TaskKind
from supervisor.tasks.task_store import TaskStore

DONE = "Dependencies installed. The worker was restarted; the server kept running."
NOT_WRITABLE = (
    "site-packages is not writable: install as the owner of the environment, or build the packages into the "
    "container image."
)
WAITING = "Another installation is under way, waiting for its end"
PIP_PERCENT = 95  # progress at which pip is done and verification begins
log = logging.getLogger("supervisor.environment")


class Installer:
    """Runs installs, at most one at a time. Lives on the event loop.

    `pause_workers` keeps all workers stopped for the length of a block. `folder` is pip's temporary folder,
    which is deleted after each install, whatever a killed pip left in it.
    """

    def __init__(
        self,
        tasks: TaskStore,
        environment: Environment,
        pause_workers: Callable[[], AbstractAsyncContextManager[None]],
        folder: Path,
    ) -> None:
        self._tasks = tasks
        self._environment = environment
        self._pause_workers = pause_workers
        self._folder = folder
        self._start_lock = asyncio.Lock()
        self._task: Task | None = None
        self._running: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def current(self) -> Task | None:
        """The running install's task."""
        return self._task if self._task and not self._task.finished else None

    async def start(self) -> Task | None:
        """Start an install and return its task, or the running one's; None if there is nothing to install.

        Raises Stopping.
        """
        async with self._start_lock:
            if self.current is not None:
                return self.current
            await asyncio.to_thread(_clean_up_if_unlocked)
            plan = await self._plan()
            if self._closed:
                raise Stopping
            if not plan:
                return None
            self._task = self._tasks.create(TaskKind.INSTALL)
            self._running = self._task.run(self._run(self._task))
            return self._task

    async def close(self) -> None:
        """Reject further installs, cancel the running one, and wait for its end."""
        self._closed = True
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    async def _plan(self) -> InstallPlan:
        loaded = await asyncio.to_thread(loaded_versions)
        return plan_install(await self._environment.report(), loaded)

    async def _run(self, task: Task) -> None:
        """Run one install and finish its task."""
        try:
            async with install_lock.acquire(lambda: task.progress(0, WAITING)):
                await asyncio.to_thread(_remove_partial_packages)
                plan = await self._plan()  # again: another process may have installed the packages meanwhile
                packages = {"missing": " ".join(plan.missing), "broken": " ".join(plan.broken)}
                log.info("install started", extra={"task_id": task.id, **packages})
                if plan:
                    # Checked first: pip itself would fail only after the downloads, which may be gigabytes.
                    if not os.access(sysconfig.get_path("purelib"), os.W_OK):
                        raise InstallFailed(NOT_WRITABLE)  # noqa: TRY301  # handled with pip's own failures
                    await self._install(task, plan)
            task.progress(PIP_PERCENT, "Checking what was installed")
            await self._verify(task, plan)
            task.complete(DONE)
        except asyncio.CancelledError:
            task.fail(Cancelled())
        except BgremoveError as error:
            log.warning("install failed", extra={"task_id": task.id, "reason": error.detail})
            task.fail(error)
        except Exception:
            log.exception("install failed", extra={"task_id": task.id})
            task.fail(BgremoveError())

    async def _install(self, task: Task, plan: InstallPlan) -> None:
        """Install while every worker is stopped; those that had a model loaded are restarted."""
        async with AsyncExitStack() as stack:
            task.progress(0, "Stopping the worker")
            await stack.enter_async_context(self._pause_workers())
            await stack.enter_async_context(self._environment.pause_probing())
            await self._run_pip(task, plan)

    async def _run_pip(self, task: Task, plan: InstallPlan) -> None:
        index = await self._torch_index(task) if plan.includes_torch else None
        commands = pip_commands(plan, index)
        try:
            common = await asyncio.to_thread(self._write_constraints, plan)
            share = PIP_PERCENT / len(commands)
            for number, command in enumerate(commands):
                await self._pip(task, common, command, (share * number, share * (number + 1)))
        finally:
            await asyncio.to_thread(self._clean_up)

    async def _pip(
        self, task: Task, common: Sequence[str], command: PipCommand, percent_range: tuple[float, float]
    ) -> None:
        """Run pip once, moving the task's percentage through `percent_range`. Raises InstallFailed."""
        start, end = percent_range
        progress = PipProgress(len(command.requirements))
        temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(self._folder))
        arguments = ("install", "--no-user", *common, *command.options, *command.requirements)
        try:
            async with aclosing(pip.run(*arguments, environment=temporary)) as output:
                async for line in output:
                    if progress.feed(line):
                        task.log(line)
                    percent = start + (end - start) * progress.percent / 100
                    task.progress(percent, progress.message, transient=True)
        except pip.PipFailed as error:
            advice = " Check the network connection and try again." if error.offline else ""
            raise InstallFailed(f"The packages could not be installed: {error.reason}.{advice}") from error

    async def _torch_index(self, task: Task) -> str | None:
        gpu = await asyncio.to_thread(has_nvidia_gpu)
        index = torch_index.choose_index(sys.platform, os.environ, gpu=gpu)
        if index is not None and not await torch_index.is_reachable(index):
            index = None
        source = index or "pip's default package index"
        task.log(f"Installing torch and torchvision from {source}.")
        return index

    async def _verify(self, task: Task, plan: InstallPlan) -> None:
        """Check that the packages are installed, and usable where required. Raises InstallFailed."""
        report = await self._environment.report()
        for state in report.states:
            requirement = state.package.requirement
            if state.usable or requirement not in (*plan.missing, *plan.broken):
                continue
            sentence = state.problem.sentence if state.problem else f"{requirement} is still missing."
            task.log(sentence)
            broken = state.problem is not None and state.problem.fix is not None
            if not state.installed or (state.required and broken):
                raise InstallFailed(f"pip has installed the packages, but {sentence}")

    def _write_constraints(self, plan: InstallPlan) -> list[str]:
        """Write the constraints file; return the arguments common to all pip commands. Raises StorageFailed.

        Packages that this process has loaded are pinned: it may still import more modules of them.
        """
        constraints = self._folder / "constraints.txt"
        pinned = {**plan.pinned, **loaded_versions()}
        text = merge_constraints(self._environment.lists.constraints(), pinned)
        make_private_dir(self._folder)
        try:
            constraints.write_text(text, encoding="utf-8")
        except OSError as error:
            raise StorageFailed("The temporary folder is not writable: set BGREMOVE_TEMP_DIR.") from error
        return ["-c", str(constraints), *progress_bar_options(version_text("pip"))]

    def _clean_up(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        _remove_partial_packages()


def _clean_up_if_unlocked() -> None:
    """Remove what a killed pip left behind, unless another process is installing."""
    with install_lock.try_acquire() as acquired:
        if acquired:
            _remove_partial_packages()


def _remove_partial_packages() -> None:
    for folder in site_folders():
        remove_partial_packages(folder)
