"""Requirement lists of the project: which packages it needs, and which part of the service needs each."""

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
# The modules that GET /env/status shows, each with its requirement, in the order shown.
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
    """A package: the module it is imported by, its requirement for pip, and the parts that need it."""

    module: str
    requirement: str
    needed_by: tuple[str, ...]
    shown: bool  # whether GET /env/status has a row for it

    @property
    def name(self) -> str:
        """The package's normalised name, without version."""
        return requirement_name(self.requirement)


@dataclass(frozen=True, slots=True)
class PackageLists:
    """Reads the project's requirement lists and constraints below `root`."""

    root: Path = ROOT
    modules: tuple[tuple[str, str], ...] = MODULES

    def packages(self) -> list[Package]:
        """Return all packages, the shown ones first. Reads a few small files."""
        lists = {part: _read_list(self.root / path) for part, path in LISTS.items()}
        packages = []
        for module, requirement in self.modules:
            needed_by = tuple(part for part, names in lists.items() if requirement_name(requirement) in names)
            packages.append(Package(module, requirement, needed_by, shown=True))
        others = {name: text for names in lists.values() for name, text in names.items()}
        for name in sorted(others.keys() - {package.name for package in packages}):
            needed_by = tuple(part for part, names in lists.items() if name in names)
            # All other packages are imported by their own names, which a test checks.
            packages.append(Package(name.replace("-", "_"), others[name], needed_by, shown=False))
        return packages

    def constraints(self) -> str:
        """Return the text of the constraints file."""
        return (self.root / "constraints.txt").read_text(encoding="utf-8")


def required_parts(loader: Loader) -> frozenset[str]:
    """Return the parts whose packages the service needs with this loader."""
    return frozenset({"server", "builtin", loader})


def requirement_name(requirement: str) -> str:
    """Return the normalised package name of a requirement (PEP 508, PEP 503)."""
    return canonicalize_name(Requirement(requirement).name)


def _read_list(path: Path) -> dict[str, str]:
    """Return the requirements of a list and those it includes with -r, by name; other platforms' left out."""
    found: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if text.startswith("-r"):
            found |= _read_list(path.parent / text.removeprefix("-r").strip())
        elif text and _applies_here(text):
            found[requirement_name(text)] = text
    return found


def _applies_here(requirement: str) -> bool:
    """Whether the requirement's environment marker matches this platform."""
    marker = Requirement(requirement).marker
    return marker is None or marker.evaluate()
