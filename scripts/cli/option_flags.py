"""The options of a removal on the command line, from their one declaration in shared/options.py."""

import argparse
import re
from pathlib import Path
from typing import Any

from cli.command_errors import usage_error
from shared.options import Option, declared_options

Options = dict[str, str | int | bool]

ENDINGS = {"jpeg": ".jpg"}  # where it is not the format's name
FORMATS = {".png": "png", ".webp": "webp", ".jpg": "jpeg", ".jpeg": "jpeg"}
DEFAULTS = {option.name: option.default for option in declared_options()}
_NAMED = re.compile(f"'({'|'.join(DEFAULTS)})'")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add every declared option. The server checks limits, and names the option in its answer."""
    group = parser.add_argument_group("what to make")
    for option in declared_options():
        group.add_argument(_flag(option.name), **_parsing(option))


def given_options(arguments: argparse.Namespace) -> Options:
    """Return the options that were given but for files; the server knows the defaults of the others."""
    names = [option.name for option in declared_options() if option.kind != "image"]
    given = {name: getattr(arguments, name) for name in names}
    return {name: value for name, value in given.items() if value is not None}


def given_images(arguments: argparse.Namespace) -> dict[str, Path]:
    """Return the files that go along with every photo, by their option's name."""
    names = [option.name for option in declared_options() if option.kind == "image"]
    images = {name: Path(getattr(arguments, name)) for name in names if getattr(arguments, name)}
    for name, path in images.items():
        if not path.is_file():
            raise usage_error(f"{_flag(name)}: there is no file {path}")
    return images


def ending_of(options: Options) -> str:
    """Return the ending, with its dot, of what these options make."""
    made = str(options.get("format", DEFAULTS["format"]))
    return ".zip" if wanted_output(options) == "both" else ENDINGS.get(made, f".{made}")


def wanted_output(options: Options) -> str:
    """Return what is made: "cutout", "mask" or "both"."""
    return str(options.get("output", DEFAULTS["output"]))


def fitted_to(options: Options, output: Path) -> Options:
    """Return the options with the format that the output's ending means, where none was asked for."""
    ending = output.suffix.lower()
    zipped = wanted_output(options) == "both"
    if zipped != (ending == ".zip") and ending:
        raise usage_error(f"{output}: --output both makes a .zip, and nothing else does")
    if zipped or not ending or "format" in options:
        return options
    if ending not in FORMATS:
        raise usage_error(
            f"{output}: {ending} is none of {', '.join(FORMATS)}; name one of them, or give --format"
        )
    made = FORMATS[ending]
    return options if made == DEFAULTS["format"] else {**options, "format": made}


def with_flags(sentence: str) -> str:
    """Return what the service says with the options named as they are here: --crop-margin."""
    return _NAMED.sub(lambda named: _flag(named[1]), sentence)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _parsing(option: Option) -> dict[str, Any]:
    default = "" if option.default is None else f" (default: {str(option.default).lower()})"
    told: dict[str, Any] = {"help": (option.help + default).replace("%", "%%"), "default": None}
    match option.kind:
        case "choice":
            return told | {"choices": option.choices}
        case "boolean":
            return told | {"action": argparse.BooleanOptionalAction}
        case "integer":
            return told | {"type": int, "metavar": (option.unit or "N").upper()}
        case "image":
            return told | {"metavar": "FILE"}
    return told | {"metavar": option.kind.upper()}
