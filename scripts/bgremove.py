"""Command-line entry point: python3 scripts/bgremove.py remove PHOTO -o cutout.png

Each subcommand is a module in cli/ with add_to (its arguments) and run. The Python that started the script
parses the arguments; packages are installed after that.
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

import bootstrap  # first: it exits with a message if this Python is too old to parse the other modules
from cli import install_command, models_command, remove_command, service_commands
from cli.command_errors import EXIT_FAILED, Terminated
from cli.unknown_flags import refuse_unknown

COMMANDS = (remove_command, models_command, install_command, service_commands)


def main() -> int:
    """Parse the arguments and run the subcommand."""
    _reopen_closed_streams()
    parser = argparse.ArgumentParser(
        prog="bgremove",
        description="Remove the background of photos.",
        epilog="example:\n  python3 scripts/bgremove.py remove photo.jpg -o cutout.png",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_to(subparsers)
    words, flags = _split_server_flags(_join_suffix_value(sys.argv[1:]))
    arguments, unknown = parser.parse_known_args(words, argparse.Namespace(flags=flags))
    if unknown:
        refuse_unknown(parser, words, unknown)
    run: Callable[[argparse.Namespace], int] = arguments.run
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number and signal.getsignal(number) == signal.SIG_DFL:  # else nohup has set it to be ignored
            signal.signal(number, _raise_terminated)
    try:
        return run(arguments)
    except KeyboardInterrupt:
        bootstrap.print_message("stopped")
        return bootstrap.EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of standard output has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python reports it again at exit
        return EXIT_FAILED


def _reopen_closed_streams() -> None:
    """Replace closed standard streams by the null device."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - open until exit


def _split_server_flags(words: list[str]) -> tuple[list[str], list[str]]:
    """Return the words to parse, and those behind `serve`, which the server parses itself."""
    if words[:1] == ["serve"] and words[1:2] not in (["-h"], ["--help"]):
        return words[:1], words[1:]
    return words, []


def _join_suffix_value(words: list[str]) -> list[str]:
    """Join --suffix and a value such as -small, which argparse would take for an option."""
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] == "--suffix" and re.match("-[^-]", word):
            joined[-1] = f"--suffix={word}"
        else:
            joined.append(word)
    return joined


def _raise_terminated(number: int, _frame: FrameType | None) -> NoReturn:
    """Turn the signal into an exception, so that files and processes are cleaned up."""
    raise Terminated(128 + number)


if __name__ == "__main__":
    sys.exit(main())
