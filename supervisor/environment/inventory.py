"""What the environment holds, found without importing anything of it."""

import functools
import importlib
import importlib.metadata
import importlib.util
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from supervisor.environment.requirements import Package, name_of

SITE_FOLDERS = {"site-packages", "dist-packages"}


@dataclass(frozen=True, slots=True)
class Found:
    """What there is of one package. `stamp` changes when it is installed anew."""

    package: Package
    present: bool  # its module can be found
    version: str | None  # by its metadata; pip takes a package with metadata for installed
    stamp: int


@dataclass(frozen=True, slots=True)
class Findings:
    """What there is of all packages. Two that are equal were made of the same environment."""

    found: tuple[Found, ...]
    site_stamps: tuple[int, ...]  # change when any package comes or goes


def look(packages: Sequence[Package]) -> Findings:
    """Look for the packages, as they are on disk now. Reads files: not for the event loop."""
    importlib.invalidate_caches()
    stamps = {entry: _stamp(Path(entry)) for entry in sys.path}
    found = tuple(_find(package, tuple(stamps.values())) for package in packages)
    # Not the working folder: what is written there has nothing to do with packages.
    sites = tuple(stamp for entry, stamp in stamps.items() if Path(entry).name in SITE_FOLDERS)
    return Findings(found, sites)


def _find(package: Package, path_stamps: tuple[int, ...]) -> Found:
    try:
        spec = importlib.util.find_spec(package.module)
    except ValueError:  # a module already loaded, of unknown origin
        spec = None
    # A folder without __init__.py is what an uninstalled package leaves behind.
    origin = spec.origin if spec else None
    version = _version(package.name, path_stamps)
    return Found(package, origin is not None, version, _stamp(Path(origin)) if origin else 0)


@functools.lru_cache(maxsize=256)
def _version(name: str, path_stamps: tuple[int, ...]) -> str | None:  # noqa: ARG001  # part of the key
    """Read a version, which takes milliseconds, once for each state of the folders on the path."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def version_of(name: str) -> str:
    """Return a package's version for a sentence; "?" where it has none."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "?"


# In every interpreter of a virtual environment, by a .pth file of setuptools; nothing here uses it, and torch
# needs a newer setuptools than Python 3.11 brings.
START_UP_HOOKS = frozenset({"_distutils_hack"})


def loaded_versions() -> dict[str, str]:
    """Return name and version of every package that this process has loaded modules of."""
    owners = importlib.metadata.packages_distributions()
    loaded = {module.partition(".")[0] for module in list(sys.modules)} - START_UP_HOOKS
    names = {name for module in loaded for name in owners.get(module, ()) if name}
    return {name_of(name): importlib.metadata.version(name) for name in names}


def site_folders() -> list[Path]:
    """Return the folders that pip installs into; none outside of a virtual environment."""
    if sys.prefix == sys.base_prefix:
        return []  # the system's packages are not ours to tidy
    return sorted({Path(sysconfig.get_path(kind)) for kind in ("purelib", "platlib")})
