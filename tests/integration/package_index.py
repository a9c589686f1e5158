"""Tiny packages made on the spot, and a folder of them that pip installs from: no network is needed."""

import io
import tarfile
import zipfile
from pathlib import Path

METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
# Built by a backend in its own tree: pip then needs nothing from any index to build it.
PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'

FAILING_BACKEND = """
def build_wheel(folder, config_settings=None, metadata_directory=None):
    raise RuntimeError("no compiler here")
"""

# Waits, together with a process of its own, until the folder `gate` has a file "open"; "reached" is its sign.
# Each of the two has one writer: in a shared file, the word could overwrite the opening.
SLOW_BACKEND = """
import pathlib, shutil, subprocess, sys, time

def build_wheel(folder, config_settings=None, metadata_directory=None):
    gate = pathlib.Path({gate!r})
    if not (gate / "open").exists():
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        (gate / "reached").touch()
    while not (gate / "open").exists():
        time.sleep(0.02)
    return shutil.copy({wheel!r}, folder).rpartition("/")[2]
"""

# Takes a second.
LASTING_BACKEND = """
import shutil, time

def build_wheel(folder, config_settings=None, metadata_directory=None):
    time.sleep(1)
    return shutil.copy({wheel!r}, folder).rpartition("/")[2]
"""


def add_wheel(
    folder: Path, name: str, version: str = "1.0", requires: tuple[str, ...] = (), body: str = ""
) -> Path:
    """Add a package whose one module holds `body`."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    metadata = METADATA.format(name=name, version=version)
    metadata += "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", body)
        wheel.writestr(f"{name}-{version}.dist-info/METADATA", metadata)
        wheel.writestr(f"{name}-{version}.dist-info/WHEEL", WHEEL)
        wheel.writestr(f"{name}-{version}.dist-info/RECORD", "")
    return path


def add_source(folder: Path, name: str, backend: str) -> None:
    """Add a package that has to be built, by `backend`."""
    files = {
        "PKG-INFO": METADATA.format(name=name, version="1.0"),
        "pyproject.toml": PYPROJECT,
        "backend.py": backend,
    }
    with tarfile.open(folder / f"{name}-1.0.tar.gz", "w:gz") as source:
        for file, text in files.items():
            entry = tarfile.TarInfo(f"{name}-1.0/{file}")
            entry.size = len(text.encode())
            source.addfile(entry, io.BytesIO(text.encode()))


def put(site: Path, name: str, body: str, version: str = "1.0", *, torn: bool = False) -> None:
    """Put a package into a site-packages folder as pip does; torn, as a pip that was killed does."""
    info = site / f"{name}-{version}.dist-info"
    info.mkdir()
    (site / f"{name}.py").write_text(body)
    (info / "METADATA").write_text(METADATA.format(name=name, version=version))
    if not torn:
        (info / "INSTALLER").write_text("pip\n")
        files = (f"{name}.py", *(f"{info.name}/{file}" for file in ("METADATA", "INSTALLER", "RECORD")))
        (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
