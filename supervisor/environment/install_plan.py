"""Plans an install: which packages are missing or broken, the pip commands, and the version constraints."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from supervisor.environment.report import Report
from supervisor.environment.requirements import requirement_name

TORCH_PAIR = ("torch", "torchvision")  # compiled against each other: always installed from the same index


@dataclass(frozen=True, slots=True)
class InstallPlan:
    """The requirements to install: `missing` ones, and `broken` ones to reinstall.

    `pinned` maps packages to versions that must not change, such as a working torch for the user's GPU.
    """

    missing: tuple[str, ...]
    broken: tuple[str, ...]
    pinned: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether there is anything to install."""
        return bool(self.missing or self.broken)

    @property
    def includes_torch(self) -> bool:
        """Whether torch or torchvision is to be installed."""
        names = map(requirement_name, (*self.missing, *self.broken))
        return any(name in TORCH_PAIR for name in names)


@dataclass(frozen=True, slots=True)
class PipCommand:
    """The arguments of one `pip install`."""

    options: tuple[str, ...]
    requirements: tuple[str, ...]


def plan_install(report: Report, loaded: Collection[str]) -> InstallPlan:
    """Return what is missing or broken. Packages that the supervisor itself has `loaded` are not replaced."""
    by_name = {state.package.name: state for state in report.states}
    broken = [name for name in report.broken if name not in loaded]
    if any(name in TORCH_PAIR for name in broken):
        installed = [name for name in TORCH_PAIR if name in by_name and by_name[name].installed]
        broken += [name for name in installed if name not in broken]
    missing = [state.package.requirement for state in report.missing if state.package.name not in broken]
    plan = InstallPlan(tuple(missing), tuple(by_name[name].package.requirement for name in broken))
    if plan.includes_torch:
        return plan
    usable = {name: by_name[name].version for name in TORCH_PAIR if name in by_name and by_name[name].usable}
    return replace(plan, pinned={name: version for name, version in usable.items() if version})


def pip_commands(plan: InstallPlan, torch_index: str | None) -> list[PipCommand]:
    """Return the pip commands of a plan.

    `torch_index` is the package index for torch and torchvision, as a pair; None for pip's default index.
    """
    source = ("--extra-index-url", torch_index) if torch_index else ()
    pair = TORCH_PAIR if torch_index else ()
    commands = []
    if plan.broken:
        # Forced, because pip considers a broken package installed; its dependencies follow in the second run.
        commands.append(PipCommand(("--force-reinstall", "--no-deps", *source), plan.broken))
    requirements = tuple(dict.fromkeys((*plan.missing, *plan.broken, *pair)))
    return [*commands, PipCommand(("-U", *source), requirements)]


def merge_constraints(constraints: str, pinned: Mapping[str, str]) -> str:
    """Return the text of a constraints file in which the `pinned` versions replace those of `constraints`."""
    lines = [line.strip() for line in constraints.splitlines()]
    kept = [
        line for line in lines if line and not line.startswith("#") and requirement_name(line) not in pinned
    ]
    return "".join(f"{line}\n" for line in [*kept, *(f"{name}=={pinned[name]}" for name in sorted(pinned))])
