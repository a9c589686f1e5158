"""Removes partially installed packages left by an interrupted pip, which takes them for installed.

Has to parse on Python 3.8, as scripts/bootstrap.py imports it.
"""

from __future__ import annotations

import shutil
from pathlib import Path


def remove_partial_packages(site_packages: Path) -> None:
    """Delete the metadata of packages whose install was interrupted, and pip's temporary `~` folders.

    pip writes INSTALLER once a package's files are complete, and renames files that it replaces to `~` names.
    """
    partial = [info for info in site_packages.glob("*.dist-info") if not (info / "INSTALLER").exists()]
    for entry in [*partial, *site_packages.glob("~*")]:
        shutil.rmtree(entry, ignore_errors=True)
