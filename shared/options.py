"""The options of a removal, declared once for HTTP, the command line and the page.

A field's type says what may be sent: one of a `Literal`'s words, a `bool`, an `int` or a `str`, each of them
`| None` where leaving it out means something else than any value. Its metadata says the rest:

- `help`: what it does, in a sentence for people;
- `minimum`, `maximum`: the limits of an integer, both included;
- `unit`: what an integer counts, such as "px";
- `kind`: what a string is, where it is not just "text": "colour".

Images that come with a removal are no fields: their bytes are in the job's folder. The one that a client may
send besides the photo is declared by `BACKGROUND_FILE`.
"""

from dataclasses import MISSING, Field, dataclass, field, fields
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

ModelChoice = Literal["auto", "birefnet", "builtin"]
OutputChoice = Literal["cutout", "mask", "both"]
FormatChoice = Literal["png", "webp", "jpeg"]
DetailChoice = Literal["standard", "high"]
OptionKind = Literal["choice", "boolean", "integer", "text", "colour", "image"]
_KINDS: dict[type, OptionKind] = {bool: "boolean", int: "integer", str: "text"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalOptions:
    """What a client may ask of a removal; every default is what most people want."""

    model: ModelChoice = field(
        default="auto",
        metadata={
            "help": "which model: auto takes BiRefNet when it is loaded or on disk, else the built-in; "
            "birefnet is downloaded first where it is missing"
        },
    )
    output: OutputChoice = field(
        default="cutout",
        metadata={
            "help": "cutout: the photo with a transparent background; mask: the alpha alone, in grey; "
            "both: the two in a zip"
        },
    )
    format: FormatChoice = field(
        default="png", metadata={"help": "the file's format; jpeg needs a background for a cutout"}
    )
    background: str | None = field(
        default=None,
        metadata={"kind": "colour", "help": "#rgb, #rrggbb, #rrggbbaa or a CSS colour name to put behind"},
    )
    refine: bool = field(
        default=True,
        metadata={"help": "estimate the subject's own colour on soft edges, so that no halo is left"},
    )
    crop: bool = field(default=False, metadata={"help": "cut the result to the subject's box"})
    crop_margin: str = field(
        default="0", metadata={"help": "room around the box, in pixels (20 or 20px) or of its sides (5%)"}
    )
    detail: DetailChoice = field(
        default="standard",
        metadata={
            "help": "high: look a second time, at the subject's box alone, for a sharper small subject"
        },
    )
    max_size: int | None = field(
        default=None,
        metadata={
            "minimum": 16,
            "maximum": 65_535,
            "unit": "px",
            "help": "the result's longest side at most, in pixels",
        },
    )
    quality: int = field(
        default=90, metadata={"minimum": 1, "maximum": 100, "help": "how well webp and jpeg keep the picture"}
    )
    lossless: bool = field(default=False, metadata={"help": "have webp keep every pixel exactly"})


@dataclass(frozen=True, slots=True)
class Option:
    """One option, described for whoever offers it without knowing it by name.

    `choices` are those of a "choice", the limits those of an "integer", both included.
    """

    name: str
    kind: OptionKind
    default: str | int | bool | None
    choices: tuple[str, ...]
    minimum: int | None
    maximum: int | None
    unit: str | None
    help: str


BACKGROUND_FILE = Option(
    name="background_file",
    kind="image",
    default=None,
    choices=(),
    minimum=None,
    maximum=None,
    unit=None,
    help="an image to put behind, scaled to cover the photo",
)


def option_fields(declaration: type = RemovalOptions) -> list[Option]:
    """Return the options that are fields of a dataclass, in their order."""
    types = get_type_hints(declaration)
    return [_described(option, types[option.name]) for option in fields(declaration)]


def declared_options() -> list[Option]:
    """Return every option that a client may send, in the order to offer them."""
    options = option_fields()
    place = [option.name for option in options].index("background") + 1
    return [*options[:place], BACKGROUND_FILE, *options[place:]]


def _described(option: Field[Any], kind: type) -> Option:
    value, told = _without_none(kind), option.metadata
    choices = get_args(value) if get_origin(value) is Literal else ()
    return Option(
        name=option.name,
        kind="choice" if choices else told.get("kind", _KINDS[value]),
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
