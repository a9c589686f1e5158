"""What pip is asked for, decided from a report; and the versions that it is held to."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from supervisor.environment.packages import name_of
from supervisor.environment.report import Report

PAIR = ("torch", "torchvision")  # built for each other: one alone from another index does not match


@dataclass(frozen=True, slots=True)
class Wanted:
    """The requirements to install: `fresh` are missing, `again` are there and don't work."""

    fresh: tuple[str, ...]
    again: tuple[str, ...]

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.fresh or self.again)

    @property
    def torch(self) -> bool:
        """Whether torch or torchvision is among them."""
        return any(name_of(requirement) in PAIR for requirement in (*self.fresh, *self.again))


@dataclass(frozen=True, slots=True)
class PipRun:
    """One run of `pip install`."""

    options: tuple[str, ...]
    requirements: tuple[str, ...]


def wanted(report: Report, loaded: Collection[str]) -> Wanted:
    """Return what is missing or broken. What the supervisor itself has `loaded` is never touched."""
    by_name = {state.package.name: state for state in report.states}
    again = [name for name in report.broken if name not in loaded]
    if any(name in PAIR for name in again):
        again += [name for name in PAIR if name in by_name and by_name[name].installed and name not in again]
    fresh = [state.package.requirement for state in report.missing if state.package.name not in again]
    return Wanted(tuple(fresh), tuple(by_name[name].package.requirement for name in again))


def steps(wanted: Wanted, index: str | None) -> list[PipRun]:
    """Return the runs of `pip install` that bring what is wanted.

    `index` is where to take torch and torchvision from, as a pair; None for pip's own index.
    """
    source = ("--extra-index-url", index) if index else ()
    pair = PAIR if index else ()
    runs = []
    if wanted.again:
        # pip takes a broken package for installed; its dependencies are looked after by the second run.
        runs.append(PipRun(("--force-reinstall", "--no-deps", *source), wanted.again))
    everything = tuple(dict.fromkeys((*wanted.fresh, *wanted.again, *pair)))
    return [*runs, PipRun(("-U", *source), everything)]


def merged_constraints(constraints: str, loaded: Mapping[str, str]) -> str:
    """Return the constraints with every package that the supervisor has loaded held to its version.

    Replacing those under a running process would break what it has not imported of them yet.
    """
    lines = [line.strip() for line in constraints.splitlines()]
    kept = [line for line in lines if line and not line.startswith("#") and name_of(line) not in loaded]
    return "".join(f"{line}\n" for line in [*kept, *(f"{name}=={loaded[name]}" for name in sorted(loaded))])
