"""Runs the tests: python3 scripts/test.py [pytest's arguments]. Installs their packages first.

The whole suite runs in several processes (pytest-xdist), since most tests wait more than they compute; tests
marked `alone` follow one by one. Arguments that select tests (`-k name`, a file) run in one process, which is
faster for a few. For the debugger: -n0 --pdb.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import bootstrap

# Two more than there are cores; at most as many as memory for torch in each allows.
PROCESSES = min((os.cpu_count() or 1) + 2, 6)
PARALLEL = ["-n", str(PROCESSES), "--dist", "worksteal", "-m", "not alone"]
# OpenMP threads spin while they wait, which takes the cores from the other processes.
PASSIVE_WAIT = {"OMP_WAIT_POLICY": "PASSIVE"}
SERIAL = ["-n0", "-m", "alone"]
ALL_PASSED, SOME_FAILED, NONE_COLLECTED = 0, 1, 5  # pytest's exit codes


def main(arguments: list[str]) -> int:
    """Run the selected tests and return pytest's exit code."""
    python = bootstrap.ensure(bootstrap.TESTS)
    os.chdir(bootstrap.ROOT)
    os.environ.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # each of many hundred processes would compile every module
    pytest = [str(python), "-m", "pytest"]
    if any(not argument.startswith("-") for argument in arguments):
        bootstrap.exec_program([*pytest, *arguments])
    parallel = run([*pytest, *PARALLEL, *arguments], os.environ | PASSIVE_WAIT)
    if parallel != ALL_PASSED and (parallel != SOME_FAILED or {"-x", "--exitfirst"} & set(arguments)):
        return parallel
    serial = run([*pytest, *arguments, *SERIAL, *find_files_marked_alone()])
    return parallel if serial in {ALL_PASSED, NONE_COLLECTED} else serial


def find_files_marked_alone() -> list[str]:
    """Return the files with tests marked `alone`: importing all others, and torch, takes several seconds."""
    files = sorted(Path("tests").rglob("test_*.py"))
    return [str(file) for file in files if "mark.alone" in file.read_text(encoding="utf-8")]


def run(command: list[str], environment: Mapping[str, str] = os.environ) -> int:
    """Run a command and return its exit code; pytest handles Ctrl-C, to report where it was."""
    with subprocess.Popen(command, env=environment) as process:
        while True:
            with contextlib.suppress(KeyboardInterrupt):
                return process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
