"""Runs scripts/bgremove.py as a subprocess, for tests of the command line."""

import os
import subprocess
import sys
from pathlib import Path

from tests.integration.fake_service import Script, fake_service

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 60
ENVIRONMENT = {**os.environ, "BGREMOVE_NO_BOOTSTRAP": "1"}
Run = subprocess.CompletedProcess[str]


def command(*arguments: object, project: Path = ROOT) -> list[str]:
    return [sys.executable, str(project / "scripts" / "bgremove.py"), *map(str, arguments)]


def bgremove(
    *arguments: object,
    project: Path = ROOT,
    settings: dict[str, str] | None = None,
    cwd: Path | None = None,
) -> Run:
    return subprocess.run(
        command(*arguments, project=project),
        cwd=cwd,
        env={**ENVIRONMENT, **(settings or {})},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def remove(script: Script, photo: Path, *arguments: object, settings: dict[str, str] | None = None) -> Run:
    with fake_service(script) as address:
        return bgremove("remove", photo, "--server", address, *arguments, settings=settings)


def sibling_files(photo: Path) -> list[str]:
    return sorted(path.name for path in photo.parent.iterdir() if path != photo)
