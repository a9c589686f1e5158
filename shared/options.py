"""The options of a removal, declared once for HTTP, the command line and the page.

A field's type says what may be sent: one of a `Literal`'s words, a `bool`, an `int` or a `str`, each of them
`| None` where leaving it out means something else than any value. Its metadata says the rest:

- `help`: what it does, in a sentence for people;
- `minimum`, `maximum`: the limits of an integer, both included;
- `unit`: what an integer counts, such as "px";
- `kind`: what a string is, where it is not just "text": "colour", or "image" for an uploaded file.
"""

from dataclasses import MISSING, Field, dataclass, field, fields
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

ModelChoice = Literal["auto", "birefnet", "builtin"]
OutputChoice = Literal["cutout", "mask"]
OptionKind = Literal["choice", "boolean", "integer", "text", "colour", "image"]
_KINDS: dict[type, OptionKind] = {bool: "boolean", int: "integer", str: "text"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalOptions:
    """What a client may ask of a removal; every default is what most people want."""

    model: ModelChoice = field(
        default="auto",
        metadata={"help": "which model: auto takes BiRefNet when it is loaded or on disk, else the built-in"},
    )
    output: OutputChoice = field(
        default="cutout",
        metadata={"help": "cutout: the photo with a transparent background; mask: the alpha alone, in grey"},
    )


@dataclass(frozen=True, slots=True)
class Option:
    """One option, described for whoever offers it without knowing it by name."""

    name: str
    kind: OptionKind
    annotation: type  # the declared type, None included
    default: str | int | bool | None
    choices: tuple[str, ...]
    minimum: int | None
    maximum: int | None
    unit: str | None
    help: str


def declared_options(declaration: type = RemovalOptions) -> list[Option]:
    """Return the options that a dataclass declares, in their order."""
    types = get_type_hints(declaration)
    return [_described(option, types[option.name]) for option in fields(declaration)]


def _described(option: Field[Any], kind: type) -> Option:
    value, told = _without_none(kind), option.metadata
    choices = get_args(value) if get_origin(value) is Literal else ()
    return Option(
        name=option.name,
        kind="choice" if choices else told.get("kind", _KINDS[value]),
        annotation=kind,
        default=None if option.default is MISSING else option.default,
        choices=choices,
        minimum=told.get("minimum"),
        maximum=told.get("maximum"),
        unit=told.get("unit"),
        help=told["help"],
    )


def _without_none(kind: type) -> type:
    if get_origin(kind) not in (Union, UnionType):
        return kind
    given: tuple[type, ...] = tuple(part for part in get_args(kind) if part is not NoneType)
    return given[0]
