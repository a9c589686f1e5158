"""Check style and types, installing first what that needs: python3 scripts/check.py [--fix]."""

from __future__ import annotations

import argparse
import subprocess
import sys

import bootstrap

CHECKS = (["ruff", "check"], ["ruff", "format", "--check"], ["mypy"])
FIXES = (["ruff", "check", "--fix"], ["ruff", "format"], ["mypy"])


def main() -> int:
    """Run every check, so that one run tells all that is wrong."""
    parser = argparse.ArgumentParser(description="Check style and types.", allow_abbrev=False)
    parser.add_argument("--fix", action="store_true", help="mend what can be mended, and format")
    commands = FIXES if parser.parse_args().fix else CHECKS
    python = bootstrap.ensure(bootstrap.TESTS)
    failed = []
    for command in commands:
        bootstrap.say(" ".join(command))
        if subprocess.run([python, "-m", *command], cwd=bootstrap.ROOT, check=False).returncode:
            failed.append(" ".join(command))
    if failed:
        bootstrap.say(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(bootstrap.INTERRUPTED)
