"""Refuses unknown flags with the subcommand's usage and the nearest known flag."""

import argparse
import difflib
from collections.abc import Sequence
from typing import NoReturn


def refuse_unknown(parser: argparse.ArgumentParser, words: Sequence[str], unknown: Sequence[str]) -> NoReturn:
    """Exit with a usage error that names the unknown words, and a flag of a similar name, if there is one."""
    command = _find_command(parser, words)
    known = [flag for action in command._actions for flag in action.option_strings]  # noqa: SLF001
    flag = unknown[0].partition("=")[0]
    near = difflib.get_close_matches(flag, known, n=1) if flag.startswith("-") else []
    hint = f"; did you mean {near[0]}?" if near else ""
    command.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")


def _find_command(parser: argparse.ArgumentParser, words: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of the subcommand that the words name."""
    for word in words:
        for action in parser._actions:  # noqa: SLF001  # argparse has no public way to its parsers
            if isinstance(action, argparse._SubParsersAction) and word in action.choices:  # noqa: SLF001
                parser = action.choices[word]
                break
    return parser
