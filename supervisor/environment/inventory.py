"""Inventory of installed packages, made without importing them."""

import functools
import importlib
import importlib.metadata
import importlib.util
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from supervisor.environment.requirements import Package, requirement_name

SITE_FOLDER_NAMES = {"site-packages", "dist-packages"}


@dataclass(frozen=True, slots=True)
class InstalledPackage:
    """One package on disk. `mtime_ns` is its module's; a reinstall changes it."""

    package: Package
    present: bool  # whether its module can be found
    version: str | None  # of its metadata, which is what pip considers installed
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Inventory:
    """All packages on disk. Two equal inventories describe the same environment."""

    packages: tuple[InstalledPackage, ...]
    site_mtimes_ns: tuple[int, ...]  # change when any package is installed or removed


def scan(packages: Sequence[Package]) -> Inventory:
    """Return which of the packages are installed now. Reads files: not for the event loop."""
    importlib.invalidate_caches()
    mtimes_ns = {entry: _mtime_ns(Path(entry)) for entry in sys.path}
    installed = tuple(_inspect(package, tuple(mtimes_ns.values())) for package in packages)
    # Without the working folder, whose changes have nothing to do with packages.
    sites = tuple(mtime for entry, mtime in mtimes_ns.items() if Path(entry).name in SITE_FOLDER_NAMES)
    return Inventory(installed, sites)


def _inspect(package: Package, path_mtimes_ns: tuple[int, ...]) -> InstalledPackage:
    try:
        spec = importlib.util.find_spec(package.module)
    except ValueError:  # a loaded module whose __spec__ is None
        spec = None
    # A namespace package (origin None) is the empty folder that an uninstall leaves behind.
    origin = spec.origin if spec else None
    version = _version(package.name, path_mtimes_ns)
    return InstalledPackage(package, origin is not None, version, _mtime_ns(Path(origin)) if origin else 0)


@functools.lru_cache(maxsize=256)
def _version(name: str, path_mtimes_ns: tuple[int, ...]) -> str | None:  # noqa: ARG001  # cache key
    """Return a package's version. Cached, as reading its metadata takes milliseconds."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _mtime_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def version_text(name: str) -> str:
    """Return a package's version for a message; "?" if it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "?"


# Loaded in every interpreter of a virtual environment by a .pth file of setuptools, but not used: pinning it
# would keep the old setuptools of Python 3.11, and torch needs a newer one.
STARTUP_HOOKS = frozenset({"_distutils_hack"})


def loaded_versions() -> dict[str, str]:
    """Return the name and version of every package of which this process has loaded modules."""
    owners = importlib.metadata.packages_distributions()
    loaded = {module.partition(".")[0] for module in list(sys.modules)} - STARTUP_HOOKS
    names = {name for module in loaded for name in owners.get(module, ()) if name}
    return {requirement_name(name): importlib.metadata.version(name) for name in names}


def site_folders() -> list[Path]:
    """Return the virtual environment's site-packages folders; none outside of a virtual environment."""
    if sys.prefix == sys.base_prefix:
        return []
    return sorted({Path(sysconfig.get_path(kind)) for kind in ("purelib", "platlib")})
