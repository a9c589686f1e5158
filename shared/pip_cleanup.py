"""What a pip that was killed leaves behind: packages half written, which it takes for installed.

Has to parse on Python 3.8, as scripts/bootstrap.py uses it.
"""

from __future__ import annotations

import shutil
from pathlib import Path


def remove_partial_packages(site_packages: Path) -> None:
    """Delete what makes pip take a package for installed that it was killed in the middle of.

    It writes INSTALLER when a package's files are done, and moves files that it replaces to names with ~.
    """
    torn = [info for info in site_packages.glob("*.dist-info") if not (info / "INSTALLER").exists()]
    for entry in [*torn, *site_packages.glob("~*")]:
        shutil.rmtree(entry, ignore_errors=True)
