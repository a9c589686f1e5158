"""How the environment stands: what is installed, what is missing, what doesn't work and why."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from shared.errors import Stopping
from shared.messages import Loader
from supervisor.environment.diagnostics import (
    TOO_SLOW,
    Problem,
    cpu_build_problem,
    import_problem,
    metadata_problem,
    sees_nvidia_gpu,
)
from supervisor.environment.import_probe import Outcome, probe
from supervisor.environment.inventory import Findings, Found, look, version_of
from supervisor.environment.requirements import Package, PackageLists, required_by


@dataclass(frozen=True, slots=True)
class PackageState:
    """How one package stands."""

    package: Package
    required: bool  # by the service as it is set
    installed: bool
    version: str | None
    problem: Problem | None
    usable: bool  # it was imported, and nothing was wrong that matters


@dataclass(frozen=True, slots=True)
class Report:
    """How all packages stand."""

    states: tuple[PackageState, ...]

    @property
    def rows(self) -> list[PackageState]:
        """The packages that the status shows."""
        return [state for state in self.states if state.package.shown]

    @property
    def missing(self) -> list[PackageState]:
        """What is not installed, of the shown packages and of those that the service needs."""
        return [s for s in self.states if not s.installed and (s.package.shown or s.required)]

    @property
    def broken(self) -> list[str]:
        """The names of the packages to install anew, for themselves or for others that need them."""
        wanted = [s for s in self.states if s.package.shown or s.required]
        half = [s.package.name for s in wanted if not s.installed and s.version is not None]
        mends = [s.problem.mend for s in wanted if s.problem and s.problem.mend]
        return list(dict.fromkeys(half + mends))

    @property
    def ready(self) -> bool:
        """Whether all that the service needs is there and works."""
        return all(state.usable for state in self.states if state.required)


class Environment:
    """Reports on the environment that this process runs in. Lives on the event loop.

    Imports are tried once for each state of the environment; what is on disk is looked at every time.
    """

    def __init__(self, lists: PackageLists, loader: Loader) -> None:
        self.lists = lists
        self._required = required_by(loader)
        self._known: Findings | None = None  # what the newest probe was made of
        self._probing: asyncio.Task[dict[str, Outcome]] | None = None
        self._changing = False

    async def report(self) -> Report:
        """Return how the environment stands now. Raises Stopping."""
        findings, gpu = await asyncio.to_thread(self._look)
        outcomes = await self._outcomes(findings)
        return Report(tuple(self._state(found, outcomes, gpu=gpu) for found in findings.found))

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[None]:
        """Try no imports while packages are replaced: they would fail, and on Windows be in the way."""
        self._changing = True
        try:
            if self._probing is not None:
                await asyncio.wait([self._probing])
            yield
        finally:
            self._changing = False
            self._known = None

    async def close(self) -> None:
        """End the child that tries imports, if there is one."""
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.wait([self._probing])

    def _look(self) -> tuple[Findings, bool]:
        gpu = sees_nvidia_gpu()
        return look(self.lists.packages()), gpu

    async def _outcomes(self, findings: Findings) -> dict[str, Outcome]:
        """Return how the imports went, of a probe of these findings; two callers share one."""
        while self._known != findings and not self._changing:
            if self._probing is not None and not self._probing.done():
                await asyncio.wait([self._probing])  # of older findings: one child at a time
                continue
            self._known = findings
            self._probing = asyncio.create_task(probe(self._to_try(findings)), name="probe")
        if self._probing is None:
            return {}
        if self._changing and not self._probing.done():
            return {}
        outcomes = await self._end_of(self._probing)
        if any(outcome.failure and outcome.failure.kind == TOO_SLOW for outcome in outcomes.values()):
            self._known = None  # it says more about the moment than about the packages
        return outcomes

    async def _end_of(self, probing: asyncio.Task[dict[str, Outcome]]) -> dict[str, Outcome]:
        """Wait for a probe that others wait for too. Raises Stopping where it was ended with the service."""
        try:
            return await asyncio.shield(probing)
        except asyncio.CancelledError:
            if probing.cancelled():
                raise Stopping from None
            raise

    def _to_try(self, findings: Findings) -> list[str]:
        wanted = [found for found in findings.found if found.package.shown or self._needs(found.package)]
        return [found.package.module for found in wanted if found.present]

    def _needs(self, package: Package) -> bool:
        return not self._required.isdisjoint(package.needed_by)

    def _state(self, found: Found, outcomes: dict[str, Outcome], *, gpu: bool) -> PackageState:
        outcome = outcomes.get(found.package.module) if found.present else None
        problem = _problem(found, outcome, gpu=gpu) if found.present else None
        usable = outcome is not None and not (problem and problem.fatal)
        required = self._needs(found.package)
        return PackageState(found.package, required, found.present, found.version, problem, usable)


def _problem(found: Found, outcome: Outcome | None, *, gpu: bool) -> Problem | None:
    if outcome and outcome.failure:
        return import_problem(found.package, outcome.failure, version_of)
    if problem := metadata_problem(found.package, found.version):
        return problem
    if outcome and found.package.module == "torch":
        return cpu_build_problem(found.version or "?", outcome.cuda, gpu=gpu)
    return None
