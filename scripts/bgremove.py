"""The command line: python3 scripts/bgremove.py remove PHOTO -o cutout.png

Each subcommand is a module in cli/ that gives its arguments (add_to) and its work (run). Arguments are
read with whatever Python this was started with; what has to be installed is installed after that.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

import bootstrap  # first of ours: it says so where Python is too old to read the rest
from cli import download_command, install_command, remove_command
from cli.command_errors import FAILED, Terminated

COMMANDS = (remove_command, download_command, install_command)


def main() -> int:
    """Read the arguments and run the subcommand they name."""
    _open_closed_streams()
    parser = argparse.ArgumentParser(
        prog="bgremove", description="Remove the background of photos.", allow_abbrev=False
    )
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_to(subparsers)
    arguments = parser.parse_args(_with_suffix(sys.argv[1:]))
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


def _open_closed_streams() -> None:
    """Give the place of a standard stream that was closed to one that holds nothing."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - for good


def _with_suffix(words: list[str]) -> list[str]:
    """Join --suffix and a word such as -small, as most suffixes are: argparse takes that for an option."""
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] == "--suffix" and re.match("-[^-]", word):
            joined[-1] = f"--suffix={word}"
        else:
            joined.append(word)
    return joined


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    """End as by an exception, so that files and processes are tidied up on the way."""
    raise Terminated(128 + number)


if __name__ == "__main__":
    sys.exit(main())
