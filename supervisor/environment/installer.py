"""Installs what the environment lacks, one install at a time, with the workers ended while pip writes."""

import asyncio
import logging
import os
import shutil
import sys
import sysconfig
from collections.abc import Sequence
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

from shared.errors import BgremoveError, Cancelled, InstallFailed, Stopping, StorageFailed
from shared.pip_cleanup import remove_partial_packages
from supervisor.environment import install_lock, pip, torch_index
from supervisor.environment.diagnostics import sees_nvidia_gpu
from supervisor.environment.install_plan import PipRun, Wanted, merged_constraints, steps, wanted
from supervisor.environment.inventory import loaded_versions, site_folders, version_of
from supervisor.environment.pip_progress import PipProgress, progress_arguments
from supervisor.environment.report import Environment
from supervisor.platform.private_dir import make_private_dir
from supervisor.tasks.task import Task, TaskKind, TaskStore
from supervisor.workers.pool import WorkerPool

DONE = "Dependencies installed. The worker was restarted; the server kept running."
CLOSED = (
    "The service may not write where its Python keeps packages: install them as the user who made that "
    "environment, or into the container's image."
)
WAITING = "Another installation is under way, waiting for its end"
PIP_PERCENT = 95  # where pip's work ends and the check of what it did begins
log = logging.getLogger("supervisor.environment")


class Installs:
    """Starts installs, at most one at a time. Lives on the event loop.

    `folder` is where pip may keep what it unpacks; what a killed pip leaves there goes with the folder.
    """

    def __init__(
        self, tasks: TaskStore, environment: Environment, pools: Sequence[WorkerPool], folder: Path
    ) -> None:
        self._tasks = tasks
        self._environment = environment
        self._pools = pools
        self._folder = folder
        self._deciding = asyncio.Lock()
        self._task: Task | None = None
        self._running: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def current(self) -> Task | None:
        """The install under way."""
        return self._task if self._task and not self._task.finished else None

    async def start(self) -> Task | None:
        """Install what is missing or broken: the task, the one under way if there is one; None for nothing.

        Raises Stopping.
        """
        async with self._deciding:
            if self.current is not None:
                return self.current
            await asyncio.to_thread(_tidy_if_alone)
            work = await self._wanted()
            if self._closed:
                raise Stopping
            if not work:
                return None
            self._task = self._begin()
            return self._task

    async def close(self) -> None:
        """Start no more, cancel the one that runs, and wait for its end."""
        self._closed = True
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    async def _wanted(self) -> Wanted:
        loaded = await asyncio.to_thread(loaded_versions)
        return wanted(await self._environment.report(), loaded)

    def _begin(self) -> Task:
        task = self._tasks.create(TaskKind.INSTALL)
        self._running = task.run(self._run(task))
        return task

    async def _run(self, task: Task) -> None:
        """Take one install to its end; the task tells clients how it went."""
        try:
            async with install_lock.held(lambda: task.progress(0, WAITING)):
                await asyncio.to_thread(_drop_torn)
                work = await self._wanted()  # asked again: another process may have done it meanwhile
                log.info("install", extra={"missing": " ".join(work.fresh), "broken": " ".join(work.again)})
                if work:
                    if not os.access(sysconfig.get_path("purelib"), os.W_OK):
                        raise InstallFailed(CLOSED)  # noqa: TRY301  # pip would say so, gigabytes later
                    await self._install(task, work)
            task.progress(PIP_PERCENT, "Checking what was installed")
            await self._check(task, work)
            task.complete(DONE)
        except asyncio.CancelledError:
            task.fail(Cancelled())
        except BgremoveError as error:
            log.warning("install failed", extra={"reason": error.detail})
            task.fail(error)
        except Exception:
            log.exception("install failed")
            task.fail(BgremoveError())

    async def _install(self, task: Task, work: Wanted) -> None:
        """Install with every worker ended, and bring back those that were loaded."""
        async with AsyncExitStack() as held:
            task.progress(0, "Ending the worker")
            for pool in self._pools:
                await held.enter_async_context(pool.pause())
            await held.enter_async_context(self._environment.changing())
            await self._run_pip(task, work)

    async def _run_pip(self, task: Task, work: Wanted) -> None:
        index = await self._torch_index(task) if work.torch else None
        runs = steps(work, index)
        try:
            always = await asyncio.to_thread(self._prepare, work)
            for number, run in enumerate(runs):
                share = PIP_PERCENT / len(runs)
                await self._pip(task, always, run, (share * number, share * (number + 1)))
        finally:
            await asyncio.to_thread(self._tidy_up)

    async def _pip(self, task: Task, always: Sequence[str], run: PipRun, span: tuple[float, float]) -> None:
        """Run pip once; it takes the task's percentage through `span`. Raises InstallFailed."""
        start, end = span
        progress = PipProgress(len(run.requirements))
        temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(self._folder))
        command = ("install", "--no-user", *always, *run.options, *run.requirements)
        try:
            async with aclosing(pip.run(*command, environment=temporary)) as output:
                async for line in output:
                    if progress.feed(line):
                        task.log(line)
                    percent = start + (end - start) * progress.percent / 100
                    task.progress(percent, progress.message, transient=True)
        except pip.PipFailed as error:
            advice = " Check the network connection and try again." if error.offline else ""
            raise InstallFailed(f"The packages could not be installed: {error.reason}.{advice}") from error

    async def _torch_index(self, task: Task) -> str | None:
        gpu = await asyncio.to_thread(sees_nvidia_gpu)
        index = torch_index.choice(sys.platform, os.environ, gpu=gpu)
        if index is not None and not await torch_index.answers(index):
            index = None
        source = index or "pip's own package index"
        task.log(f"torch and torchvision come from {source}.")
        return index

    async def _check(self, task: Task, work: Wanted) -> None:
        """Make sure that what was installed is there, and works where it is needed. Raises InstallFailed."""
        report = await self._environment.report()
        for state in report.states:
            requirement = state.package.requirement
            if state.usable or requirement not in (*work.fresh, *work.again):
                continue
            what = state.problem.sentence if state.problem else f"{requirement} is still missing."
            task.log(what)
            broken = state.problem is not None and state.problem.mend is not None
            if not state.installed or (state.required and broken):
                raise InstallFailed(f"pip has installed the packages, but {what}")

    def _prepare(self, work: Wanted) -> list[str]:
        """Write what pip is held to; return the arguments for every run. Raises StorageFailed.

        What this process has loaded stays: replaced, it would break what is not imported of it yet.
        """
        constraints = self._folder / "constraints.txt"
        held = {**work.kept, **loaded_versions()}
        text = merged_constraints(self._environment.lists.constraints(), held)
        make_private_dir(self._folder)
        try:
            constraints.write_text(text, encoding="utf-8")
        except OSError as error:
            raise StorageFailed("The temporary folder cannot be written.") from error
        return ["-c", str(constraints), *progress_arguments(version_of("pip"))]

    def _tidy_up(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        _drop_torn()


def _tidy_if_alone() -> None:
    """Tidy up after a pip that was killed together with its supervisor, unless another one is writing."""
    with install_lock.try_acquire() as mine:
        if mine:
            _drop_torn()


def _drop_torn() -> None:
    for folder in site_folders():
        remove_partial_packages(folder)
