"""Presets: named sets of removal options, built in or from a TOML file, in which each table is a preset.

Clients name one in the option `preset`. Options that are given as well take precedence.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared.errors import InvalidOption
from shared.option_descriptions import BACKGROUND_FILE, Option, describe_fields
from shared.option_validation import validate_options
from shared.options import RemovalOptions

Preset = Mapping[str, Any]  # the options' values by their names
Presets = Mapping[str, Preset]

BUILT_IN: Presets = {
    "marketplace": {
        "format": "jpeg",
        "quality": 90,
        "background": "white",
        "canvas": "2000x2000",
        "scale": "85%",
    },
    "product-shadow": {"crop": True, "margin": "8%", "shadow": "ground"},
    "avatar": {"crop": True, "margin": "8%", "canvas": "1:1"},
}
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_OPTIONS = {option.name: option for option in describe_fields()}


class InvalidPresets(ValueError):
    """A file of presets that cannot be used; the message is one line that names the file and the place."""


def load_presets(path: Path | None) -> Presets:
    """Return the built-in presets and those of a TOML file, which replace built-in ones of the same name.

    Raises InvalidPresets.
    """
    if path is None:
        return BUILT_IN
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InvalidPresets(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # of TOML, or of UTF-8
        raise InvalidPresets(f"{path} is not valid TOML: {error}") from error
    for name, values in tables.items():
        try:
            _check_preset(name, values)
        except InvalidPresets as error:
            raise InvalidPresets(f"{path}, preset {name!r}: {error}") from error
    return {**BUILT_IN, **tables}


def apply_preset(
    preset: Preset, given: Mapping[str, Any], *, has_background_file: bool = False
) -> dict[str, Any]:
    """Return the preset's options with the `given` ones in place of its own.

    A background image, too, takes the place of the preset's background.
    """
    unused = {"background"} if has_background_file else set()
    return {name: value for name, value in preset.items() if name not in unused} | dict(given)


def find_preset(presets: Presets, name: str) -> Preset:
    """Return the preset of that name. Raises InvalidOption, with the names of all."""
    try:
        return presets[name]
    except KeyError:
        raise InvalidOption(
            f"The field 'preset' is not valid: the presets are {', '.join(presets)}."
        ) from None


def _check_preset(name: str, values: object) -> None:
    """Raise InvalidPresets, with the option's name, for a table that is not a preset."""
    if not isinstance(values, dict):
        raise InvalidPresets(f"write a table, [{name}], with the options below it")
    if not _NAME.fullmatch(name):
        raise InvalidPresets("a preset's name has up to 64 letters, digits, hyphens and underscores")
    for option_name, value in values.items():
        if problem := _find_problem(option_name, value):
            raise InvalidPresets(f"option {option_name!r} {problem}")
    try:
        validate_options(RemovalOptions(**values))
    except InvalidOption as error:
        raise InvalidPresets(error.detail.removesuffix(".")) from error


def _find_problem(name: str, value: object) -> str | None:
    """Return what is wrong with an option's name, or with the type or the range of its value."""
    option = _OPTIONS.get(name)
    if name == BACKGROUND_FILE.name:
        return "is not supported in a preset: a request uploads the image"
    if option is None:
        return f"is not known; the options are {', '.join(_OPTIONS)}"
    return _find_value_problem(option, value)


def _find_value_problem(option: Option, value: object) -> str | None:
    if option.kind == "boolean":
        return None if isinstance(value, bool) else "must be true or false"
    if option.kind == "integer":
        low, high = option.minimum, option.maximum
        is_valid = type(value) is int and (low is None or value >= low) and (high is None or value <= high)
        return None if is_valid else f"must be a whole number from {low} to {high}"
    if option.kind == "choice" and option.choices:
        return None if value in option.choices else f"must be one of {', '.join(option.choices)}"
    return None if isinstance(value, str) else 'must be text in quotation marks, such as "5%"'
