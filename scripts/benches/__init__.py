"""The benches, one module each: every one has add_to(parser), and run(arguments), which measures."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


class BenchFailed(Exception):
    """Nothing can be measured; the message is one line for a person."""


def positive(text: str) -> int:
    """Return an argument that counts something, at least 1. Raises ValueError."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number
