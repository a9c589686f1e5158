"""What a child process of the supervisor leaves in its log, whatever standard streams it was born with."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# As Python makes them in a Windows console, whose streams keep writing to it, and without one, in pythonw.
STREAMS = {"console": "io.StringIO()", "no console": "None"}
LIFE = """
import faulthandler, io, sys
from shared import child_bootstrap
sys.stdout, sys.stderr = {stream}, {stream}
child_bootstrap.run("last_words:say", {log!r})
"""
LAST_WORDS = r"""
import faulthandler, sys
def say():
    print("a word in passing")
    print("cannot read Jürgen's\udcff photo", file=sys.stderr)
    faulthandler._sigabrt()
"""


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_a_childs_last_words_are_in_its_log(tmp_path: Path, stream: str) -> None:
    """On Windows they were lost in a console, and without one no worker came up at all."""
    (tmp_path / "last_words.py").write_text(LAST_WORDS, encoding="utf-8")
    log = tmp_path / "child.log"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
    life = LIFE.format(stream=stream, log=str(log))
    run = subprocess.run(
        [sys.executable, "-c", life],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert run.returncode != 0
    said = log.read_text(encoding="utf-8")
    assert "a word in passing" in said
    assert r"cannot read Jürgen's\udcff photo" in said
    assert "Fatal Python error" in said
