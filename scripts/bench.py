"""Measure this project: python3 scripts/bench.py http [--against URL] [--json FILE]

Each subcommand is a module in benches/ that gives its arguments (add_to) and its work (run), which prints
a table and returns everything it saw.
"""

import argparse
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from bootstrap import ensure, reexec

Run = Callable[[argparse.Namespace], dict[str, Any]]


def main() -> int:
    """Run the bench that the arguments name."""
    reexec(ensure("supervisor/requirements.txt", "worker/requirements-builtin.txt"))
    from benches import BenchFailed, http_api  # noqa: PLC0415  # what it imports was installed just now

    parser = argparse.ArgumentParser(prog="bench.py", description="Measure this project.", allow_abbrev=False)
    subparsers = parser.add_subparsers(dest="bench", metavar="BENCH", required=True)
    for bench in (http_api,):
        bench.add_to(subparsers)
    for subparser in subparsers.choices.values():
        subparser.add_argument(
            "--json", type=Path, metavar="FILE", help="write everything that was seen there"
        )
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _end)
    run: Run = arguments.run
    try:
        report = {"at": time.time(), "machine": _machine(), arguments.bench: run(arguments)}
    except BenchFailed as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0


def _machine() -> dict[str, Any]:
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
    }


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    """End as by an exception, so that the servers and files are tidied up on the way."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
