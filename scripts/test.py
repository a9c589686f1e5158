"""Run the tests, installing first what they need: python3 scripts/test.py [pytest's arguments]."""

from __future__ import annotations

import os
import sys

import bootstrap


def main() -> None:
    """Become pytest, at the project's root."""
    python = bootstrap.ensure(bootstrap.TESTS)
    os.chdir(bootstrap.ROOT)
    bootstrap.become([str(python), "-m", "pytest", *sys.argv[1:]])


if __name__ == "__main__":
    main()
