"""Environment report: which packages are installed, missing or broken, and why."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from shared.errors import Stopping
from shared.messages import Loader
from supervisor.environment.diagnostics import (
    TIMED_OUT,
    Problem,
    diagnose_cpu_build,
    diagnose_import,
    diagnose_version,
    has_nvidia_gpu,
)
from supervisor.environment.import_probe import Outcome, probe
from supervisor.environment.inventory import InstalledPackage, Inventory, scan, version_text
from supervisor.environment.requirements import Package, PackageLists, required_parts


@dataclass(frozen=True, slots=True)
class PackageState:
    """The state of one package."""

    package: Package
    required: bool  # by the service with its current settings
    installed: bool
    version: str | None
    problem: Problem | None
    usable: bool  # imported without a fatal problem


@dataclass(frozen=True, slots=True)
class Report:
    """The states of all packages."""

    states: tuple[PackageState, ...]

    @property
    def rows(self) -> list[PackageState]:
        """The packages that GET /env/status shows."""
        return [state for state in self.states if state.package.shown]

    @property
    def missing(self) -> list[PackageState]:
        """The shown or required packages that are not installed."""
        return [s for s in self.states if not s.installed and (s.package.shown or s.required)]

    @property
    def broken(self) -> list[str]:
        """The names of the packages to reinstall: partially installed ones, and the fixes of problems."""
        relevant = [s for s in self.states if s.package.shown or s.required]
        partial = [s.package.name for s in relevant if not s.installed and s.version is not None]
        fixes = [s.problem.fix for s in relevant if s.problem and s.problem.fix]
        return list(dict.fromkeys(partial + fixes))

    @property
    def ready(self) -> bool:
        """Whether all required packages are usable."""
        return all(state.usable for state in self.states if state.required)


class Environment:
    """Reports on this process's Python environment. Lives on the event loop.

    The packages on disk are scanned for every report; imports are probed again only after a change.
    """

    def __init__(self, lists: PackageLists, loader: Loader) -> None:
        self.lists = lists
        self._required_parts = required_parts(loader)
        self._probed: Inventory | None = None  # the inventory that the newest probe was started for
        self._probe: asyncio.Task[dict[str, Outcome]] | None = None
        self._paused = False

    async def report(self) -> Report:
        """Return the current state of all packages. Raises Stopping."""
        inventory, gpu = await asyncio.to_thread(self._scan)
        outcomes = await self._outcomes(inventory)
        return Report(tuple(self._assess(installed, outcomes, gpu=gpu) for installed in inventory.packages))

    @asynccontextmanager
    async def pause_probing(self) -> AsyncIterator[None]:
        """Import nothing while pip replaces packages: imports would fail, and on Windows lock files."""
        self._paused = True
        try:
            if self._probe is not None:
                await asyncio.wait([self._probe])
            yield
        finally:
            self._paused = False
            self._probed = None

    async def close(self) -> None:
        """Cancel a running import probe."""
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.wait([self._probe])

    def _scan(self) -> tuple[Inventory, bool]:
        gpu = has_nvidia_gpu()
        return scan(self.lists.packages()), gpu

    async def _outcomes(self, inventory: Inventory) -> dict[str, Outcome]:
        """Return the outcomes of an import probe for this inventory; concurrent callers share one probe."""
        while self._probed != inventory and not self._paused:
            if self._probe is not None and not self._probe.done():
                await asyncio.wait([self._probe])  # one probe at a time: that of an older inventory
                continue
            self._probed = inventory
            self._probe = asyncio.create_task(probe(self._modules_to_probe(inventory)), name="probe")
        if self._probe is None:
            return {}
        if self._paused and not self._probe.done():
            return {}
        outcomes = await self._await_probe(self._probe)
        if any(outcome.failure and outcome.failure.kind == TIMED_OUT for outcome in outcomes.values()):
            self._probed = None  # probe again: the timeout may be due to a busy machine
        return outcomes

    async def _await_probe(self, running: asyncio.Task[dict[str, Outcome]]) -> dict[str, Outcome]:
        """Await a probe shared with other callers. Raises Stopping if `close` cancelled it."""
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            if running.cancelled():
                raise Stopping from None
            raise

    def _modules_to_probe(self, inventory: Inventory) -> list[str]:
        packages = [installed.package for installed in inventory.packages if installed.present]
        return [package.module for package in packages if package.shown or self._is_required(package)]

    def _is_required(self, package: Package) -> bool:
        return not self._required_parts.isdisjoint(package.needed_by)

    def _assess(
        self, installed: InstalledPackage, outcomes: dict[str, Outcome], *, gpu: bool
    ) -> PackageState:
        package, present = installed.package, installed.present
        outcome = outcomes.get(package.module) if present else None
        problem = _diagnose(installed, outcome, gpu=gpu) if present else None
        usable = outcome is not None and not (problem and problem.fatal)
        return PackageState(package, self._is_required(package), present, installed.version, problem, usable)


def _diagnose(installed: InstalledPackage, outcome: Outcome | None, *, gpu: bool) -> Problem | None:
    package, version = installed.package, installed.version
    if outcome and outcome.failure:
        return diagnose_import(package, outcome.failure, version_text)
    if problem := diagnose_version(package, version):
        return problem
    if outcome and package.module == "torch":
        return diagnose_cpu_build(version or "?", outcome.cuda, gpu=gpu)
    return None
