"""Batches with the real server and model; only the install is skipped."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import SAMPLES
from tests.model.test_builtin import alpha_of, is_astronaut
from tests.photos import opened
from tests.service import ROOT


@pytest.fixture
def environment(data_dir: Path, tmp_path: Path) -> dict[str, str]:
    """An environment without the machine's settings, with the model downloaded."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BGREMOVE_")}
    return kept | {
        "BGREMOVE_NO_BOOTSTRAP": "1",
        "BGREMOVE_DATA_DIR": str(data_dir),
        "BGREMOVE_TEMP_DIR": str(tmp_path / "temp"),
    }


def run(
    environment: dict[str, str], *arguments: object, photo: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "scripts/bgremove.py", "remove", *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        input=photo,
        capture_output=True,
        timeout=100,
        check=False,
    )


def test_a_folder_is_processed_and_a_second_run_retries_the_failed_image(
    environment: dict[str, str], tmp_path: Path, astronaut: bytes
) -> None:
    """A damaged image affects no other."""
    photos, out = tmp_path / "photos", tmp_path / "out"
    (photos / "pets").mkdir(parents=True)
    (photos / "astronaut.jpg").write_bytes(astronaut)
    (photos / "half.jpg").write_bytes(astronaut[:20_000])
    (photos / "pets" / "cat.jpg").write_bytes((SAMPLES / "cat.jpg").read_bytes())
    command = (photos, "--recursive", "--out-dir", out, "--json")
    first = run(environment, *command)
    assert (first.returncode, first.stderr) == (1, b"")
    reports = {Path(line["input"]).name: line for line in map(json.loads, first.stdout.splitlines())}
    assert reports["half.jpg"]["error"]["code"] == "damaged_image"
    is_astronaut(alpha_of((out / "astronaut-cutout.png").read_bytes()))
    with Image.open(SAMPLES / "cat.jpg") as cat:
        assert opened((out / "pets" / "cat-cutout.png").read_bytes()).size == cat.size
    assert len(list(out.rglob("*.*"))) == 2
    (photos / "half.jpg").write_bytes(astronaut)
    second = run(environment, *command)
    assert second.returncode == 0
    lines = list(map(json.loads, second.stdout.splitlines()))
    assert sorted(Path(line["input"]).name for line in lines if "skipped" in line) == [
        "astronaut.jpg",
        "cat.jpg",
    ]
    is_astronaut(alpha_of((out / "half-cutout.png").read_bytes()))
    assert not list((tmp_path / "temp").glob("*"))


def test_an_image_is_read_from_standard_input(environment: dict[str, str], astronaut: bytes) -> None:
    """Standard output holds the result alone."""
    done = run(environment, "-", photo=astronaut)
    assert done.returncode == 0, done.stderr
    is_astronaut(alpha_of(done.stdout))
