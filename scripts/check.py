"""Runs the linter and the type checker: python3 scripts/check.py [--fix]. Installs them first."""

from __future__ import annotations

import argparse
import subprocess
import sys

import bootstrap

CHECKS = (["ruff", "check"], ["ruff", "format", "--check"], ["mypy"])
FIXES = (["ruff", "check", "--fix"], ["ruff", "format"], ["mypy"])


def main() -> int:
    """Run every check, also after one has failed."""
    parser = argparse.ArgumentParser(description="Check style and types.", allow_abbrev=False)
    parser.add_argument("--fix", action="store_true", help="apply the linter's fixes and format")
    commands = FIXES if parser.parse_args().fix else CHECKS
    python = bootstrap.ensure(bootstrap.TESTS)
    failed = []
    for command in commands:
        bootstrap.print_message(" ".join(command))
        if subprocess.run([python, "-m", *command], cwd=bootstrap.ROOT, check=False).returncode:
            failed.append(" ".join(command))
    if failed:
        bootstrap.print_message(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(bootstrap.EXIT_INTERRUPTED)
