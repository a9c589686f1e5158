"""Descriptions of the removal options, from which forms, flags and their documentation are generated."""

from collections.abc import Iterable
from dataclasses import MISSING, Field, dataclass, fields, replace
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from shared.options import RemovalOptions

OptionKind = Literal["choice", "boolean", "integer", "text", "colour", "image"]
OptionGroup = Literal["result", "background", "layout", "shadow", "advanced"]
GROUPS: tuple[OptionGroup, ...] = get_args(OptionGroup)  # in display order
_KINDS: dict[type, OptionKind] = {bool: "boolean", int: "integer", str: "text"}


@dataclass(frozen=True, slots=True)
class Option:
    """Description of one option.

    `choices` are those of a "choice", where they are known; `minimum` and `maximum` are the inclusive limits
    of an "integer".
    """

    name: str
    group: OptionGroup
    kind: OptionKind
    default: str | int | bool | None
    choices: tuple[str, ...]
    minimum: int | None
    maximum: int | None
    unit: str | None
    help: str


BACKGROUND_FILE = Option(
    name="background_file",
    group="background",
    kind="image",
    default=None,
    choices=(),
    minimum=None,
    maximum=None,
    unit=None,
    help="background image, scaled to cover the result",
)


PRESET = Option(
    name="preset",
    group="result",
    kind="choice",
    default=None,
    choices=(),
    minimum=None,
    maximum=None,
    unit=None,
    help="named set of options, such as marketplace, product-shadow or avatar; other options take precedence",
)


def describe_fields(declaration: type = RemovalOptions) -> list[Option]:
    """Return the descriptions of a dataclass's fields, in their order."""
    types = get_type_hints(declaration)
    return [_describe(option, types[option.name]) for option in fields(declaration)]


def describe_options(presets: Iterable[str] = (), models: Iterable[str] = ()) -> list[Option]:
    """Return the descriptions of all options that a client may send, in display order.

    `presets` and `models` are the names to choose these from; without any, they are not known here.
    """
    choices = {"preset": tuple(presets), "model": tuple(models)}
    options = [
        replace(option, choices=choices.get(option.name, option.choices))
        for option in (PRESET, *describe_fields(), BACKGROUND_FILE)
    ]
    return sorted(options, key=lambda option: GROUPS.index(option.group))


def _describe(option: Field[Any], kind: type) -> Option:
    value, metadata = _strip_none(kind), option.metadata
    choices = get_args(value) if get_origin(value) is Literal else ()
    return Option(
        name=option.name,
        group=metadata.get("group", "advanced"),
        kind="choice" if choices else metadata.get("kind", _KINDS[value]),
        default=None if option.default is MISSING else option.default,
        choices=choices,
        minimum=metadata.get("minimum"),
        maximum=metadata.get("maximum"),
        unit=metadata.get("unit"),
        help=metadata["help"],
    )


def _strip_none(kind: type) -> type:
    if get_origin(kind) not in (Union, UnionType):
        return kind
    value_type: type = next(part for part in get_args(kind) if part is not NoneType)
    return value_type
