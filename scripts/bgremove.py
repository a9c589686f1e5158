"""The command line: python3 scripts/bgremove.py remove PHOTO -o cutout.png

Each subcommand is a module in cli/ that gives its arguments (add_to) and its work (run). Arguments are
read with whatever Python this was started with; what has to be installed is installed after that.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

import bootstrap  # first of ours: it says so where Python is too old to read the rest
from cli import download, install, remove
from cli.errors import FAILED, Terminated

COMMANDS = (remove, download, install)


def main() -> int:
    """Read the arguments and run the subcommand they name."""
    parser = argparse.ArgumentParser(
        prog="bgremove", description="Remove the background of photos.", allow_abbrev=False
    )
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_to(subparsers)
    arguments = parser.parse_args()
    run: Callable[[argparse.Namespace], int] = arguments.run
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number and signal.getsignal(number) == signal.SIG_DFL:  # nohup's wish stays
            signal.signal(number, _end)
    try:
        return run(arguments)
    except KeyboardInterrupt:
        bootstrap.say("stopped")
        return bootstrap.INTERRUPTED
    except BrokenPipeError:  # who read our lines has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains at its end
        return FAILED


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    """End as by an exception, so that files and processes are tidied up on the way."""
    raise Terminated(128 + number)


if __name__ == "__main__":
    sys.exit(main())
