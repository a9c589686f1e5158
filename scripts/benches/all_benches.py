"""`bench.py all`: every benchmark with its defaults, one after the other."""

import argparse
from types import ModuleType
from typing import Any

from benches import BenchFailed, http_api, model_speed, positive_int, start

BENCHES: dict[str, ModuleType] = {"start": start, "http": http_api, "model": model_speed}


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `all`."""
    parser.add_argument(
        "--repeats", type=positive_int, metavar="N", help="repeats of each benchmark (default: its own)"
    )


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run all benchmarks and return their reports by name; a failed one has its reason instead.

    Raises BenchFailed if all fail.
    """
    flags = [] if arguments.repeats is None else ["--repeats", str(arguments.repeats)]
    reports: dict[str, Any] = {}
    for name, bench in BENCHES.items():
        print(f"\n== {name}")
        parser = argparse.ArgumentParser()
        bench.add_to(parser)
        try:
            reports[name] = bench.run(parser.parse_args(flags))
        except BenchFailed as error:
            print(f"failed: {error}")
            reports[name] = {"failed": str(error)}
    if all("failed" in report for report in reports.values()):
        raise BenchFailed("No benchmark could be run.")
    return reports
