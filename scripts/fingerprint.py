"""Fingerprints of the requirement lists installed in .venv: a hash of the lists, constraints and Python.

Standard library only. Has to parse on Python 3.8, as scripts/bootstrap.py imports it.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import sys
from pathlib import Path, PurePosixPath

CONSTRAINTS = "constraints.txt"
INCLUDE_OPTIONS = {"-r", "--requirement"}


def compute(root: Path, name: str, python: str) -> str:
    """Return the SHA-256 of one list, its includes, the constraints and the Python's identity."""
    digest = hashlib.sha256(python.encode())
    for part in [*resolve_includes(root, name), CONSTRAINTS]:
        content = (root / part).read_bytes()
        digest.update(f"\n{part} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def resolve_includes(root: Path, name: str) -> list[str]:
    """Return a list and those that it includes with -r, as paths from the root, each once."""
    found = [name]
    for current in found:  # grows during the iteration
        path = root / current
        for line in path.read_text(encoding="utf-8").splitlines():
            words = line.replace("=", " ").split()
            if len(words) > 1 and words[0] in INCLUDE_OPTIONS:
                included = posixpath.normpath(str(PurePosixPath(current).parent / words[1]))
                found += [] if included in found else [included]
    return found


def python_identity(venv: Path, python: Path) -> str:
    """Return a text that changes when .venv's Python is removed or replaced, without running it."""
    try:
        lines = (venv / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return ""
    # On Windows .venv's python.exe is a launcher, which remains when its Python is uninstalled.
    homes = [line.partition("=")[2].strip() for line in lines if line.startswith("home")]
    if sys.platform == "win32" and not any(os.path.lexists(Path(home, "python.exe")) for home in homes):
        return ""
    # pyvenv.cfg names the Python that created .venv; the link leads to the present one.
    return " ".join([*(line for line in lines if line.startswith("version")), str(python.resolve())])


def load(file: Path) -> dict[str, str]:
    """Return the saved fingerprints by list; empty if the file is missing or truncated."""
    try:
        known: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return known


def save(file: Path, known: dict[str, str]) -> None:
    """Write the fingerprints atomically."""
    part = file.with_suffix(".part")
    part.write_text(json.dumps(known, indent=1), encoding="utf-8")
    part.replace(file)
