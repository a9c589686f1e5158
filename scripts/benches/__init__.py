"""Benchmarks. A module has add_to(parser), which adds its arguments, and run(arguments), which measures."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


class BenchFailed(Exception):
    """The benchmark cannot be run; the message is one line for people."""


def positive_int(text: str) -> int:
    """Parse an argument that is a number of at least 1. Raises ValueError."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number
