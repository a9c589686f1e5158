"""What pip is asked for, decided from a report; and the versions that it is held to."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from supervisor.environment.report import Report
from supervisor.environment.requirements import name_of

PAIR = ("torch", "torchvision")  # built for each other: one alone from another index does not match


@dataclass(frozen=True, slots=True)
class Wanted:
    """The requirements to install: `fresh` are missing, `again` are there and don't work.

    `kept` are the versions of what works and is the user's own choice: a torch for their GPU, say.
    """

    fresh: tuple[str, ...]
    again: tuple[str, ...]
    kept: Mapping[str, str] = field(default_factory=dict)

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
    work = Wanted(tuple(fresh), tuple(by_name[name].package.requirement for name in again))
    pair = {name: by_name[name].version for name in PAIR if name in by_name and by_name[name].usable}
    return work if work.torch else replace(work, kept={name: said for name, said in pair.items() if said})


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


def merged_constraints(constraints: str, held: Mapping[str, str]) -> str:
    """Return the constraints with every package of `held` at the version that it has there."""
    lines = [line.strip() for line in constraints.splitlines()]
    kept = [line for line in lines if line and not line.startswith("#") and name_of(line) not in held]
    return "".join(f"{line}\n" for line in [*kept, *(f"{name}=={held[name]}" for name in sorted(held))])
