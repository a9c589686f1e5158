"""The examples work, each run as its first line says; the page's is in tests/browser/test_example_page.py."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.photos import wish
from tests.service import ROOT, Service

EXAMPLES = ROOT / "examples"
TIMEOUT_S = 60


def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run an example; skip the test where what it needs is not installed."""
    interpreter, *needs = {
        "remove.py": (sys.executable,),
        "remove.mjs": ("node",),
        "remove.sh": ("sh", "curl", "jq"),
        "remove.php": ("php",),
    }[name]
    missing = [program for program in (interpreter, *needs) if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} is not installed")
    if name == "remove.php" and "curl" not in _call("php", "-m").stdout.split():
        pytest.skip("PHP's curl extension is not installed")
    return _call(interpreter, str(EXAMPLES / name), *map(str, arguments))


def _call(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


@pytest.mark.parametrize("name", ["remove.py", "remove.mjs", "remove.sh", "remove.php"])
def test_an_example_saves_the_result_and_reports_a_refusal(name: str, fake: Service, tmp_path: Path) -> None:
    """Developers copy them, what they do with errors included."""
    photo, cutout = tmp_path / "my photo.png", tmp_path / "cutout.png"
    photo.write_bytes(wish())
    done = run(name, photo, cutout, fake.url)
    assert done.returncode == 0, done.stderr
    assert cutout.read_bytes() == wish()
    photo.write_text("no image")
    refused = run(name, photo, tmp_path / "none.png", fake.url)
    assert refused.returncode != 0
    assert not (tmp_path / "none.png").exists()
    assert "not an image" in refused.stderr or "415" in refused.stderr


@pytest.mark.parametrize("name", ["remove.py", "remove.mjs", "remove.sh"])
def test_an_example_shows_progress_and_leaves_no_file(name: str, fake: Service, tmp_path: Path) -> None:
    """Results would stay on the server for an hour."""
    photo = tmp_path / "photo.png"
    photo.write_bytes(wish())
    done = run(name, photo, tmp_path / "cutout.png", fake.url)
    assert done.stdout.splitlines()[-1].endswith("Background removed")
    newest = fake.client.get("/tasks").json()[0]["task_id"]
    assert fake.client.get(f"/remove/result/{newest}").json()["code"] == "expired"
