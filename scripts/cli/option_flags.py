"""Command-line flags of the removal options, generated from shared/option_descriptions.py."""

import argparse
import re
from pathlib import Path
from typing import Any

from cli.command_errors import usage_error
from shared.option_descriptions import BACKGROUND_FILE, GROUPS, PRESET, Option, describe_options
from shared.presets import Preset, apply_preset

Options = dict[str, str | int | bool]

EXTENSIONS = {"jpeg": ".jpg"}  # where it is not the format's name
ZIPPED_KINDS = ("both", "layers")
FORMATS = {".png": "png", ".webp": "webp", ".jpg": "jpeg", ".jpeg": "jpeg"}
_METAVARS = {"px": "PX", "%": "PERCENT"}  # by the unit of an integer
DEFAULTS = {option.name: option.default for option in describe_options()}
_QUOTED_OPTION = re.compile(f"'({'|'.join(DEFAULTS)})'")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add a flag for every option. The server checks limits and names the option in its error."""
    groups = {name: parser.add_argument_group(f"{name} options") for name in GROUPS}
    for option in describe_options():
        groups[option.group].add_argument(_flag(option.name), **_argument_settings(option))
    # The name of --margin up to version 0.1.
    parser.add_argument("--crop-margin", dest="margin", help=argparse.SUPPRESS)


def read_options(arguments: argparse.Namespace, preset: Preset) -> Options:
    """Return the preset's and the given options except files; the server has the defaults of the others."""
    names = [option.name for option in describe_options() if option.kind != "image" and option != PRESET]
    values = {name: getattr(arguments, name) for name in names}
    given = {name: value for name, value in values.items() if value is not None}
    has_background_file = bool(getattr(arguments, BACKGROUND_FILE.name))
    return apply_preset(preset, given, has_background_file=has_background_file)


def read_option_files(arguments: argparse.Namespace) -> dict[str, Path]:
    """Return the files that are uploaded with every image, by option name. Raises a usage error."""
    names = [option.name for option in describe_options() if option.kind == "image"]
    files = {name: Path(getattr(arguments, name)) for name in names if getattr(arguments, name)}
    for name, path in files.items():
        if not path.is_file():
            raise usage_error(f"{_flag(name)}: there is no file {path}")
    return files


def get_output_extension(options: Options) -> str:
    """Return the file extension, with its dot, of the results of these options."""
    image_format = str(options.get("format", DEFAULTS["format"]))
    return (
        ".zip"
        if get_output_kind(options) in ZIPPED_KINDS
        else EXTENSIONS.get(image_format, f".{image_format}")
    )


def get_output_kind(options: Options) -> str:
    """Return the kind of result: "cutout", "mask", "both" or "layers"."""
    return str(options.get("output", DEFAULTS["output"]))


def infer_format(options: Options, output: Path, *, is_given: bool) -> Options:
    """Return the options with the format of the output's extension, unless the format `is_given` itself.

    A preset's format gives way to it. Raises a usage error for an extension that fits no format.
    """
    extension = output.suffix.lower()
    zipped = get_output_kind(options) in ZIPPED_KINDS
    if zipped != (extension == ".zip") and extension:
        raise usage_error(f"{output}: use .zip with --output both or layers, and only then")
    if zipped or not extension or is_given:
        return options
    if extension not in FORMATS:
        known = ", ".join(FORMATS)
        raise usage_error(f"{output}: unknown extension {extension}; use one of {known}, or give --format")
    image_format = FORMATS[extension]
    is_default = image_format == options.get("format", DEFAULTS["format"])
    return options if is_default else {**options, "format": image_format}


def use_flag_names(message: str) -> str:
    """Replace quoted option names in a server's message by flags: 'max_size' by --max-size."""
    return _QUOTED_OPTION.sub(lambda match: _flag(match[1]), message)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _replace_alias(value: str) -> str:
    """Return the API's name of a choice: jpeg for jpg."""
    return "jpeg" if value == "jpg" else value


def _argument_settings(option: Option) -> dict[str, Any]:
    default = "" if option.default is None else f" (default: {str(option.default).lower()})"
    settings: dict[str, Any] = {"help": (option.help + default).replace("%", "%%"), "default": None}
    match option.kind:
        case "choice" if option.choices:
            return settings | {"choices": option.choices, "type": _replace_alias}
        case "choice":
            return settings | {"metavar": "NAME"}
        case "boolean":
            return settings | {"action": argparse.BooleanOptionalAction}
        case "integer":
            return settings | {"type": int, "metavar": _METAVARS.get(option.unit or "", "N")}
        case "image":
            return settings | {"metavar": "FILE"}
    return settings | {"metavar": option.kind.upper()}
