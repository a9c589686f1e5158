"""Accessibility checks with axe-core, downloaded from npm into pytest's cache."""

import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

VERSION = "4.14.1"
RUN = "() => axe.run(document, { resultTypes: ['violations'] })"


def load_axe(folder: Path) -> str:
    """Return axe-core's source, from the folder or by npm, which verifies its hash."""
    cached = folder / f"axe-{VERSION}.min.js"
    if not cached.exists():
        npm = shutil.which("npm")
        assert npm
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            command = [npm, "pack", f"axe-core@{VERSION}", "--pack-destination", scratch]
            subprocess.run(command, cwd=scratch, check=True, capture_output=True, timeout=60)
            with tarfile.open(Path(scratch) / f"axe-core-{VERSION}.tgz") as archive:
                archive.extract("package/axe.min.js", scratch, filter="data")
            (Path(scratch) / "package/axe.min.js").replace(cached)
    return cached.read_text(encoding="utf-8")


def find_violations(page: Page, source: str) -> list[str]:
    """Return descriptions of the accessibility violations in the page, without minor ones."""
    page.evaluate(source)
    found: dict[str, Any] = page.evaluate(RUN)
    return [
        f"{violation['id']}: {node['html']} ({node['failureSummary']})"
        for violation in found["violations"]
        if violation["impact"] != "minor"
        for node in violation["nodes"]
    ]
