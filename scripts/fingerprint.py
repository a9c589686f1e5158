"""Remembers which package lists .venv holds: a stamp a list, which changes with all that decides an install.

Part of bootstrap, and so of the standard library and Python 3.8's grammar only.
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


def of_list(root: Path, name: str, python: str) -> str:
    """The stamp of one list, given as its path from the root."""
    digest = hashlib.sha256(python.encode())
    for part in [*with_includes(root, name), CONSTRAINTS]:
        content = (root / part).read_bytes()
        digest.update(f"\n{part} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def with_includes(root: Path, name: str) -> list[str]:
    """The list and those that it names with -r, as paths from the root, each once."""
    found = [name]
    for current in found:  # grows while it is walked
        path = root / current
        for line in path.read_text(encoding="utf-8").splitlines():
            words = line.replace("=", " ").split()
            if len(words) > 1 and words[0] in INCLUDE_OPTIONS:
                included = posixpath.normpath(str(PurePosixPath(current).parent / words[1]))
                found += [] if included in found else [included]
    return found


def python_identity(venv: Path, python: Path) -> str:
    """Tells when .venv's Python has gone or become another, as after an upgrade, without running it."""
    try:
        lines = (venv / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return ""
    # On Windows .venv's python.exe is a launcher, which outlives the Python that it starts.
    homes = [line.partition("=")[2].strip() for line in lines if line.startswith("home")]
    if sys.platform == "win32" and not any(os.path.lexists(Path(home, "python.exe")) for home in homes):
        return ""
    # The file says which Python made .venv; the link, which one it leads to now.
    return " ".join([*(line for line in lines if line.startswith("version")), str(python.resolve())])


def load(file: Path) -> dict[str, str]:
    """What is known to be installed; nothing when the file is missing or torn."""
    try:
        known: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return known


def save(file: Path, known: dict[str, str]) -> None:
    """Replace the file in one step, so that no other run reads half of it."""
    part = file.with_suffix(".part")
    part.write_text(json.dumps(known, indent=1), encoding="utf-8")
    part.replace(file)
