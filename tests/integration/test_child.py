"""Child-process bootstrap: output and crash tracebacks go to the log, whatever the standard streams are."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# sys.stdout in a Windows console, which keeps writing to it, and under pythonw, which has none.
STREAMS = {"console": "io.StringIO()", "no console": "None"}
PROGRAM = """
import faulthandler, io, sys
from shared import child_bootstrap
sys.stdout, sys.stderr = {stream}, {stream}
child_bootstrap.run("last_output:write", {log!r})
"""
LAST_OUTPUT = r"""
import faulthandler, sys
def write():
    print("ordinary output")
    print("cannot read Jürgen's\udcff photo", file=sys.stderr)
    faulthandler._sigabrt()
"""


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_output_before_a_crash_is_in_the_log(tmp_path: Path, stream: str) -> None:
    """On Windows it was lost in a console, and without one no worker could start."""
    (tmp_path / "last_output.py").write_text(LAST_OUTPUT, encoding="utf-8")
    log = tmp_path / "child.log"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
    program = PROGRAM.format(stream=stream, log=str(log))
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert run.returncode != 0
    written = log.read_text(encoding="utf-8")
    assert "ordinary output" in written
    assert r"cannot read Jürgen's\udcff photo" in written
    assert "Fatal Python error" in written
