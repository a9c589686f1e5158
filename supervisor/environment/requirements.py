"""The packages this project needs, as its own lists name them, and which of its parts needs which."""

from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from shared.messages import Loader

ROOT = Path(__file__).resolve().parents[2]
LISTS = {
    "server": "supervisor/requirements.txt",
    "builtin": "worker/requirements-builtin.txt",
    "native": "worker/requirements-birefnet.txt",
    "transformers": "worker/requirements-transformers.txt",
}
# The modules that the status shows, each with what pip installs it by, in the order shown.
MODULES = (
    ("fastapi", "fastapi"),
    ("uvicorn", "uvicorn"),
    ("multipart", "python-multipart"),
    ("torch", "torch"),
    ("torchvision", "torchvision"),
    ("PIL", "pillow"),
    ("numpy", "numpy"),
    ("timm", "timm"),
    ("kornia", "kornia"),
    ("skimage", "scikit-image"),
    ("huggingface_hub", "huggingface_hub"),
    ("transformers", "transformers>=4.39.1"),
    ("einops", "einops"),
)


@dataclass(frozen=True, slots=True)
class Package:
    """One package: the module it is imported by, what pip is asked for, and who needs it."""

    module: str
    requirement: str
    needed_by: tuple[str, ...]
    shown: bool  # whether the status has a row for it

    @property
    def name(self) -> str:
        """The package's name alone, normalised."""
        return name_of(self.requirement)


@dataclass(frozen=True, slots=True)
class PackageLists:
    """Reads the project's lists and its constraints; both lie below `root`."""

    root: Path = ROOT
    modules: tuple[tuple[str, str], ...] = MODULES

    def packages(self) -> list[Package]:
        """Return all packages: those with a row first, in the rows' order. Reads a few small files."""
        lists = {part: _requirements(self.root / path) for part, path in LISTS.items()}
        packages = []
        for module, requirement in self.modules:
            needed_by = tuple(part for part, names in lists.items() if name_of(requirement) in names)
            packages.append(Package(module, requirement, needed_by, shown=True))
        others = {name: text for names in lists.values() for name, text in names.items()}
        for name in sorted(others.keys() - {package.name for package in packages}):
            needed_by = tuple(part for part, names in lists.items() if name in names)
            # The others are all imported by their own names; the lists' tests hold them to that.
            packages.append(Package(name.replace("-", "_"), others[name], needed_by, shown=False))
        return packages

    def constraints(self) -> str:
        """Return the text of the constraints file."""
        return (self.root / "constraints.txt").read_text(encoding="utf-8")


def required_by(loader: Loader) -> frozenset[str]:
    """Return the parts of the service that have to work, with this loader."""
    return frozenset({"server", "builtin", loader})


def name_of(requirement: str) -> str:
    """Return the normalised name of the package that a line of a list requires."""
    return canonicalize_name(Requirement(requirement).name)


def _requirements(path: Path) -> dict[str, str]:
    """Return what a list, and those it includes, require on this system, by normalised name."""
    found: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if text.startswith("-r"):
            found |= _requirements(path.parent / text.removeprefix("-r").strip())
        elif text and _is_meant_for_here(text):
            found[name_of(text)] = text
    return found


def _is_meant_for_here(requirement: str) -> bool:
    marker = Requirement(requirement).marker
    return marker is None or marker.evaluate()
