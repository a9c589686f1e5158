"""Command-line flags of the removal options, generated from shared/options.py."""

import argparse
import re
from pathlib import Path
from typing import Any

from cli.command_errors import usage_error
from shared.options import Option, declared_options

Options = dict[str, str | int | bool]

EXTENSIONS = {"jpeg": ".jpg"}  # where it is not the format's name
FORMATS = {".png": "png", ".webp": "webp", ".jpg": "jpeg", ".jpeg": "jpeg"}
DEFAULTS = {option.name: option.default for option in declared_options()}
_QUOTED_OPTION = re.compile(f"'({'|'.join(DEFAULTS)})'")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add a flag for every option. The server checks limits and names the option in its error."""
    group = parser.add_argument_group("output options")
    for option in declared_options():
        group.add_argument(_flag(option.name), **_argument_settings(option))


def read_options(arguments: argparse.Namespace) -> Options:
    """Return the given options except files; the server has the defaults of the others."""
    names = [option.name for option in declared_options() if option.kind != "image"]
    values = {name: getattr(arguments, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def read_option_files(arguments: argparse.Namespace) -> dict[str, Path]:
    """Return the files that are uploaded with every image, by option name. Raises a usage error."""
    names = [option.name for option in declared_options() if option.kind == "image"]
    files = {name: Path(getattr(arguments, name)) for name in names if getattr(arguments, name)}
    for name, path in files.items():
        if not path.is_file():
            raise usage_error(f"{_flag(name)}: there is no file {path}")
    return files


def output_extension(options: Options) -> str:
    """Return the file extension, with its dot, of the results of these options."""
    image_format = str(options.get("format", DEFAULTS["format"]))
    return ".zip" if output_kind(options) == "both" else EXTENSIONS.get(image_format, f".{image_format}")


def output_kind(options: Options) -> str:
    """Return the kind of result: "cutout", "mask" or "both"."""
    return str(options.get("output", DEFAULTS["output"]))


def infer_format(options: Options, output: Path) -> Options:
    """Return the options with the format of the output's extension, unless they name one.

    Raises a usage error for an extension that fits no format.
    """
    extension = output.suffix.lower()
    zipped = output_kind(options) == "both"
    if zipped != (extension == ".zip") and extension:
        raise usage_error(f"{output}: use .zip with --output both, and only then")
    if zipped or not extension or "format" in options:
        return options
    if extension not in FORMATS:
        known = ", ".join(FORMATS)
        raise usage_error(f"{output}: unknown extension {extension}; use one of {known}, or give --format")
    image_format = FORMATS[extension]
    return options if image_format == DEFAULTS["format"] else {**options, "format": image_format}


def use_flag_names(message: str) -> str:
    """Replace quoted option names in a server's message by flags: 'crop_margin' by --crop-margin."""
    return _QUOTED_OPTION.sub(lambda match: _flag(match[1]), message)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _argument_settings(option: Option) -> dict[str, Any]:
    default = "" if option.default is None else f" (default: {str(option.default).lower()})"
    settings: dict[str, Any] = {"help": (option.help + default).replace("%", "%%"), "default": None}
    match option.kind:
        case "choice":
            return settings | {"choices": option.choices}
        case "boolean":
            return settings | {"action": argparse.BooleanOptionalAction}
        case "integer":
            return settings | {"type": int, "metavar": (option.unit or "N").upper()}
        case "image":
            return settings | {"metavar": "FILE"}
    return settings | {"metavar": option.kind.upper()}
