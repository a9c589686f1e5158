"""The README's first command with the real server and model; only the install is skipped."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests.conftest import SAMPLES
from tests.model.test_builtin import alpha_of, is_astronaut
from tests.service import ROOT


def test_the_first_command_of_the_readme_works_and_leaves_no_process(data_dir: Path, tmp_path: Path) -> None:
    """From an image to a file, by a server started for it; --json prints one object."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BGREMOVE_")}
    environment |= {
        "BGREMOVE_NO_BOOTSTRAP": "1",
        "BGREMOVE_DATA_DIR": str(data_dir),
        "BGREMOVE_TEMP_DIR": str(tmp_path / "temp"),
    }
    output = tmp_path / "cutout.png"
    command = ["scripts/bgremove.py", "remove", str(SAMPLES / "astronaut.jpg"), "-o", str(output), "--json"]
    before = time.time()
    run = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, timeout=60, check=True
    )
    report = json.loads(run.stdout)
    assert (report["width"], report["height"], report["model_id"]) == (512, 512, "u2netp")
    is_astronaut(alpha_of(output.read_bytes()))
    assert not list((tmp_path / "temp").glob("*"))
    for process in psutil.process_iter(["create_time", "cmdline"]):
        started_here = str(tmp_path) in " ".join(process.info["cmdline"] or [])
        assert not (started_here and process.info["create_time"] > before), process
