"""Run the tests, installing first what they need: python3 scripts/test.py [pytest's arguments].

The whole suite runs in several processes at once, since most tests wait more than they compute; those
marked `alone` follow one by one, on a machine that does nothing else. Arguments that choose tests
(`-k name`, a file) run these in one process, which is quicker for a few. For the debugger: -n0 --pdb.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import bootstrap

# Two more than there are cores, and no more than memory for torch in each of them allows.
PROCESSES = min((os.cpu_count() or 1) + 2, 6)
TOGETHER = ["-n", str(PROCESSES), "--dist", "worksteal", "-m", "not alone"]
# torch's threads spin while they wait, which takes the cores from the other processes.
PATIENT = {"OMP_WAIT_POLICY": "PASSIVE"}
ALONE = ["-n0", "-m", "alone"]
ALL_PASSED, SOME_FAILED, NONE_CHOSEN = 0, 1, 5  # pytest's exit codes


def main(arguments: list[str]) -> int:
    """Run what the arguments ask for and return pytest's exit code."""
    python = bootstrap.ensure(bootstrap.TESTS)
    os.chdir(bootstrap.ROOT)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each of many hundred processes would compile anew
    pytest = [str(python), "-m", "pytest"]
    if any(not argument.startswith("-") for argument in arguments):
        bootstrap.become([*pytest, *arguments])
    together = run([*pytest, *TOGETHER, *arguments], os.environ | PATIENT)
    if together != ALL_PASSED and (together != SOME_FAILED or {"-x", "--exitfirst"} & set(arguments)):
        return together
    alone = run([*pytest, *arguments, *ALONE, *files_with_alone()])
    return together if alone in {ALL_PASSED, NONE_CHOSEN} else alone


def files_with_alone() -> list[str]:
    """The files with tests marked `alone`: to import all the others, and torch, takes several seconds."""
    files = sorted(Path("tests").rglob("test_*.py"))
    return [str(file) for file in files if "mark.alone" in file.read_text(encoding="utf-8")]


def run(command: list[str], environment: Mapping[str, str] = os.environ) -> int:
    """Run to the end and return the exit code; Ctrl-C is for pytest, which then says where it was."""
    with subprocess.Popen(command, env=environment) as process:
        while True:
            with contextlib.suppress(KeyboardInterrupt):
                return process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
