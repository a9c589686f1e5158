"""Benchmarks: python3 scripts/bench.py NAME [--json FILE], where --help lists the names, or plot FILE SVG.

Each subcommand is a module in benches/ with add_to (its arguments) and run, which prints a table and returns
all measurements. Only the selected module is imported: the packages of the others may not be installed.
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
    """One subcommand: its help text, its module, and the requirement lists of its packages."""

    help: str
    module: str
    lists: tuple[str, ...] = ()


BENCHES = {
    "http": Bench("latency and throughput over HTTP", "benches.http_api", (SUPERVISOR, BUILTIN_MODEL)),
    "attacks": Bench(
        "latency of /health while clients attack", "benches.attacks", (SUPERVISOR, BUILTIN_MODEL)
    ),
    "durability": Bench(
        "cost of a durable spool per removal", "benches.durability", (SUPERVISOR, BUILTIN_MODEL)
    ),
    "fleet": Bench(
        "throughput of several devices, and of one supervisor", "benches.fleet", (SUPERVISOR, BUILTIN_MODEL)
    ),
    "start": Bench("start-up, load and unload times", "benches.start", (SUPERVISOR, BUILTIN_MODEL, BIREFNET)),
    "model": Bench(
        "BiRefNet's forward pass, compared with its roofline estimate", "benches.model_speed", (BIREFNET,)
    ),
    "all": Bench("all of these", "benches.all_benches", (SUPERVISOR, BUILTIN_MODEL, BIREFNET)),
    "plot": Bench("draw a JSON report of `model` or `all`", "benches.plot"),
}


def main() -> int:
    """Run the benchmark that the arguments name."""
    name_given = sys.argv[1] if len(sys.argv) > 1 else ""
    if name_given in BENCHES and BENCHES[name_given].lists:
        reexec(ensure(*BENCHES[name_given].lists))
    parser = argparse.ArgumentParser(prog="bench.py", description="Run benchmarks.", allow_abbrev=False)
    subparsers = parser.add_subparsers(dest="bench", metavar="BENCH", required=True)
    for name, bench in BENCHES.items():
        subparser = subparsers.add_parser(name, help=bench.help, allow_abbrev=False)
        if name == name_given:
            importlib.import_module(bench.module).add_to(subparser)
            if bench.lists:
                subparser.add_argument(
                    "--json", type=Path, metavar="FILE", help="write all measurements to this file"
                )
    return _run_bench(parser.parse_args())


def _run_bench(arguments: argparse.Namespace) -> int:
    from benches import BenchFailed, machine  # noqa: PLC0415  # needs the newer Python of .venv

    out: Path | None = getattr(arguments, "json", None)  # `plot` has none
    if out and not out.parent.is_dir():
        print(f"bench: there is no folder {out.parent}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _raise_exit)
    module = importlib.import_module(BENCHES[arguments.bench].module)
    report: dict[str, Any] = {"at": time.time(), "machine": machine.describe()}
    try:
        measurements = module.run(arguments)
    except BenchFailed as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    report |= measurements if arguments.bench == "all" else {arguments.bench: measurements}
    if measurements and out:
        out.write_text(json.dumps(report, indent=2) + "\n")
    return 0


def _raise_exit(number: int, _frame: FrameType | None) -> NoReturn:
    """Turn the signal into an exception, so that servers and files are cleaned up."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
