"""Removal options, declared once for the HTTP API, the command line and the web page.

A field's type is a `Literal` of the choices, `bool`, `int` or `str`; `| None` if the option may be unset. Its
metadata has the rest:

- `help`: the help text;
- `minimum`, `maximum`: the inclusive limits of an integer;
- `unit`: the unit of an integer, such as "px";
- `kind`: the kind of a string if it is not plain "text": "colour".

Images are not fields: their bytes are in the job's folder. `BACKGROUND_FILE` declares the background image.
"""

from dataclasses import MISSING, Field, dataclass, field, fields
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

ModelChoice = Literal["auto", "birefnet", "builtin"]
OutputChoice = Literal["cutout", "mask", "both", "layers"]
FormatChoice = Literal["png", "webp", "jpeg"]
DetailChoice = Literal["standard", "high"]
ShadowChoice = Literal["none", "drop", "ground"]
OptionKind = Literal["choice", "boolean", "integer", "text", "colour", "image"]
_KINDS: dict[type, OptionKind] = {bool: "boolean", int: "integer", str: "text"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalOptions:
    """Options of one removal."""

    model: ModelChoice = field(
        default="auto",
        metadata={
            "help": "model: auto uses BiRefNet if it is loaded or downloaded, else the built-in model; "
            "birefnet is downloaded first if necessary"
        },
    )
    output: OutputChoice = field(
        default="cutout",
        metadata={
            "help": "cutout: the image with a transparent background; mask: the alpha matte as a greyscale "
            "image; both: a zip with the two; layers: a zip of the colours as JPEG and the alpha as PNG, a "
            "quarter of a PNG's size"
        },
    )
    format: FormatChoice = field(
        default="png",
        metadata={"help": "file format of the result; a cutout as jpeg is on white without a background"},
    )
    background: str | None = field(
        default=None,
        metadata={
            "kind": "colour",
            "help": "background colour: #rgb, #rrggbb, #rrggbbaa or a CSS colour name",
        },
    )
    refine: bool = field(
        default=True,
        metadata={"help": "estimate the foreground colour at soft edges, to avoid halos"},
    )
    roi: str | None = field(
        default=None,
        metadata={
            "help": "region of interest: left, top, right, bottom in pixels or percent (10% 0 100% 400px); "
            "only what is inside can be subject"
        },
    )
    crop: bool = field(default=False, metadata={"help": "crop the result to the subject's bounding box"})
    margin: str = field(
        default="0",
        metadata={
            "help": "room around the subject with crop or a canvas: pixels (20 or 20px) or a percentage of "
            "its sides (5%); one value, two (vertical, horizontal) or four (top, right, bottom, left)"
        },
    )
    canvas: str | None = field(
        default=None,
        metadata={
            "help": "size of the result: pixels (2000x2000), an aspect ratio (4:5), or photo; what is beyond "
            "the photo's edge is transparent"
        },
    )
    scale: str | None = field(
        default=None,
        metadata={"help": "how much of the canvas the subject fills on its tighter side, 10% to 100%"},
    )
    position: str | None = field(
        default=None,
        metadata={
            "help": "the subject's place on the canvas: center, or one or two percentages (horizontal, "
            "vertical; 0% is flush left or top, 100% flush right or bottom)"
        },
    )
    shadow: ShadowChoice = field(
        default="none",
        metadata={
            "help": "drop: the subject's silhouette, shifted and blurred; ground: flattened at its foot, as "
            "on a floor"
        },
    )
    shadow_opacity: int = field(
        default=50, metadata={"minimum": 0, "maximum": 100, "unit": "%", "help": "opacity of the shadow"}
    )
    shadow_blur: str | None = field(
        default=None,
        metadata={"help": "blur of the shadow: pixels, or a percentage of the subject's longer side"},
    )
    shadow_offset: str | None = field(
        default=None,
        metadata={
            "help": "where the shadow falls, right and down: pixels, or percentages of the subject's width "
            "and height (10px 20px); for ground, how far its far end leans"
        },
    )
    shadow_colour: str = field(
        default="black", metadata={"kind": "colour", "help": "colour of the shadow, as for background"}
    )
    post_process_mask: bool = field(
        default=False,
        metadata={"help": "make the mask hard: remove specks, smooth the outline, no partial transparency"},
    )
    detail: DetailChoice = field(
        default="standard",
        metadata={"help": "high: run a second pass on the subject's bounding box, to sharpen small subjects"},
    )
    max_size: int | None = field(
        default=None,
        metadata={
            "minimum": 16,
            "maximum": 65_535,
            "unit": "px",
            "help": "maximum length of the result's longer side, in pixels",
        },
    )
    max_area: int | None = field(
        default=None,
        metadata={
            "minimum": 256,
            "maximum": 1_000_000_000,
            "unit": "px",
            "help": "maximum number of the result's pixels, width times height",
        },
    )
    quality: int = field(
        default=90, metadata={"minimum": 1, "maximum": 100, "help": "compression quality of webp and jpeg"}
    )
    lossless: bool = field(default=False, metadata={"help": "lossless compression of webp"})


@dataclass(frozen=True, slots=True)
class Option:
    """Description of one option, from which user interfaces are generated.

    `choices` are those of a "choice"; `minimum` and `maximum` are the inclusive limits of an "integer".
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
    help="background image, scaled to cover the result",
)


def option_fields(declaration: type = RemovalOptions) -> list[Option]:
    """Return the descriptions of a dataclass's fields, in their order."""
    types = get_type_hints(declaration)
    return [_describe(option, types[option.name]) for option in fields(declaration)]


def declared_options() -> list[Option]:
    """Return the descriptions of all options that a client may send, in display order."""
    options = option_fields()
    place = [option.name for option in options].index("background") + 1
    return [*options[:place], BACKGROUND_FILE, *options[place:]]


def _describe(option: Field[Any], kind: type) -> Option:
    value, metadata = _strip_none(kind), option.metadata
    choices = get_args(value) if get_origin(value) is Literal else ()
    return Option(
        name=option.name,
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
