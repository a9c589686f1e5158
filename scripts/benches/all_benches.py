"""`bench.py all`: every bench with its defaults, one after the other."""

import argparse
from types import ModuleType
from typing import Any

from benches import BenchFailed, http_api, model_speed, positive, start

BENCHES: dict[str, ModuleType] = {"start": start, "http": http_api, "model": model_speed}


def add_to(parser: argparse.ArgumentParser) -> None:
    """Give `all` its arguments."""
    parser.add_argument("--repeats", type=positive, metavar="N", help="of each bench (default: its own)")


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run them all and return their reports by name; one that fails leaves its reason there.

    Raises BenchFailed where every one does.
    """
    given = [] if arguments.repeats is None else ["--repeats", str(arguments.repeats)]
    reports: dict[str, Any] = {}
    for name, bench in BENCHES.items():
        print(f"\n== {name}")
        parser = argparse.ArgumentParser()
        bench.add_to(parser)
        try:
            reports[name] = bench.run(parser.parse_args(given))
        except BenchFailed as error:
            print(f"failed: {error}")
            reports[name] = {"failed": str(error)}
    if all("failed" in report for report in reports.values()):
        raise BenchFailed("No bench could be run.")
    return reports
