"""Measure this project: python3 scripts/bench.py http|start|model|all [--json FILE], or plot FILE SVG.

Each subcommand is a module in benches/ that gives its arguments (add_to) and its work (run), which prints
a table and returns everything it saw. A module is imported only when it is asked for: what another one needs
may not be installed.
"""

import argparse
import importlib
import json
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from bootstrap import BUILTIN_MODEL, SUPERVISOR, ensure, reexec

BIREFNET = "worker/requirements-birefnet.txt"


@dataclass(frozen=True)
class Bench:
    """One subcommand: what it is for, its module, and the lists of the packages that it needs."""

    about: str
    module: str
    lists: tuple[str, ...] = ()


BENCHES = {
    "http": Bench("removals over HTTP", "benches.http_api", (SUPERVISOR, BUILTIN_MODEL)),
    "start": Bench("how long starts and ends take", "benches.start", (SUPERVISOR, BUILTIN_MODEL, BIREFNET)),
    "model": Bench("BiRefNet's network alone, beside its arithmetic", "benches.model_speed", (BIREFNET,)),
    "all": Bench("all of the above", "benches.all_benches", (SUPERVISOR, BUILTIN_MODEL, BIREFNET)),
    "plot": Bench("draw what `model` or `all` wrote with --json", "benches.plot"),
}


def main() -> int:
    """Run the bench that the arguments name."""
    named = sys.argv[1] if len(sys.argv) > 1 else ""
    if named in BENCHES and BENCHES[named].lists:
        reexec(ensure(*BENCHES[named].lists))
    parser = argparse.ArgumentParser(prog="bench.py", description="Measure this project.", allow_abbrev=False)
    subparsers = parser.add_subparsers(dest="bench", metavar="BENCH", required=True)
    for name, bench in BENCHES.items():
        subparser = subparsers.add_parser(name, help=bench.about, allow_abbrev=False)
        if name == named:
            importlib.import_module(bench.module).add_to(subparser)
            if bench.lists:
                subparser.add_argument(
                    "--json", type=Path, metavar="FILE", help="write everything that was seen there"
                )
    return _measured(parser.parse_args())


def _measured(arguments: argparse.Namespace) -> int:
    from benches import BenchFailed, machine  # noqa: PLC0415  # written for the newer Python of .venv

    out: Path | None = getattr(arguments, "json", None)  # a plot has none
    if out and not out.parent.is_dir():
        print(f"bench: there is no folder {out.parent}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _end)
    module = importlib.import_module(BENCHES[arguments.bench].module)
    report: dict[str, Any] = {"at": time.time(), "machine": machine.facts()}
    try:
        seen = module.run(arguments)
    except BenchFailed as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    report |= seen if arguments.bench == "all" else {arguments.bench: seen}
    if seen and out:
        out.write_text(json.dumps(report, indent=2) + "\n")
    return 0


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    """End as by an exception, so that the servers and files are tidied up on the way."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
