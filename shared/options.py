"""Removal options, declared once for the HTTP API, the command line and the web page.

A field's type is a `Literal` of the choices, `bool`, `int` or `str`; `| None` if the option may be unset. Its
metadata has the rest, which shared/option_descriptions.py reads:

- `group`: the section of a user interface, one of its GROUPS;
- `help`: the help text;
- `minimum`, `maximum`: the inclusive limits of an integer;
- `unit`: the unit of an integer, such as "px";
- `kind`: the kind of a string if it is not plain "text": "colour".

Images are not fields: their bytes are in the job's folder. A preset is no field either: it stands for other
options, see shared/presets.py.
"""

from dataclasses import dataclass, field
from typing import Literal

OutputChoice = Literal["cutout", "mask", "both", "layers"]
FormatChoice = Literal["png", "webp", "jpeg"]
DetailChoice = Literal["standard", "high"]
ShadowChoice = Literal["none", "drop", "ground"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalOptions:
    """Options of one removal."""

    model: str = field(
        default="auto",
        metadata={
            "group": "result",
            "kind": "choice",
            "help": "model: auto uses BiRefNet if it is loaded or downloaded, else the built-in model; "
            "birefnet is downloaded first if necessary; or any other by its name, such as u2net",
        },
    )
    output: OutputChoice = field(
        default="cutout",
        metadata={
            "group": "result",
            "help": "cutout: the image with a transparent background; mask: the alpha matte as a greyscale "
            "image; both: a zip with the two; layers: a zip of the colours as JPEG and the alpha as PNG, a "
            "quarter of a PNG's size",
        },
    )
    format: FormatChoice = field(
        default="png",
        metadata={
            "group": "result",
            "help": "file format of the result; a cutout as jpeg is on white without a background",
        },
    )
    background: str | None = field(
        default=None,
        metadata={
            "group": "background",
            "kind": "colour",
            "help": "background colour: #rgb, #rrggbb, #rrggbbaa or a CSS colour name",
        },
    )
    refine: bool = field(
        default=True,
        metadata={
            "group": "advanced",
            "help": "estimate the foreground colour at soft edges, to avoid halos",
        },
    )
    roi: str | None = field(
        default=None,
        metadata={
            "group": "advanced",
            "help": "region of interest: left, top, right, bottom in pixels or percent (10% 0 100% 400px); "
            "only what is inside can be subject",
        },
    )
    crop: bool = field(
        default=False, metadata={"group": "layout", "help": "crop the result to the subject's bounding box"}
    )
    margin: str = field(
        default="0",
        metadata={
            "group": "layout",
            "help": "room around the subject with crop or a canvas: pixels (20 or 20px) or a percentage of "
            "its sides (5%); one value, two (vertical, horizontal) or four (top, right, bottom, left)",
        },
    )
    canvas: str | None = field(
        default=None,
        metadata={
            "group": "layout",
            "help": "size of the result: pixels (2000x2000), an aspect ratio (4:5), or photo; what is beyond "
            "the photo's edge is transparent",
        },
    )
    scale: str | None = field(
        default=None,
        metadata={
            "group": "layout",
            "help": "how much of the canvas the subject fills on its tighter side, 10% to 100%",
        },
    )
    position: str | None = field(
        default=None,
        metadata={
            "group": "layout",
            "help": "the subject's place on the canvas: center, or one or two percentages (horizontal, "
            "vertical; 0% is flush left or top, 100% flush right or bottom)",
        },
    )
    shadow: ShadowChoice = field(
        default="none",
        metadata={
            "group": "shadow",
            "help": "drop: the subject's silhouette, shifted and blurred; ground: flattened at its foot, as "
            "on a floor",
        },
    )
    shadow_opacity: int = field(
        default=50,
        metadata={
            "group": "shadow",
            "minimum": 0,
            "maximum": 100,
            "unit": "%",
            "help": "opacity of the shadow",
        },
    )
    shadow_blur: str | None = field(
        default=None,
        metadata={
            "group": "shadow",
            "help": "blur of the shadow: pixels, or a percentage of the subject's longer side",
        },
    )
    shadow_offset: str | None = field(
        default=None,
        metadata={
            "group": "shadow",
            "help": "where the shadow falls, right and down: pixels, or percentages of the subject's width "
            "and height (10px 20px); for ground, how far its far end leans",
        },
    )
    shadow_colour: str = field(
        default="black",
        metadata={"group": "shadow", "kind": "colour", "help": "colour of the shadow, as for background"},
    )
    post_process_mask: bool = field(
        default=False,
        metadata={
            "group": "advanced",
            "help": "make the mask hard: remove specks, smooth the outline, no partial transparency",
        },
    )
    detail: DetailChoice = field(
        default="standard",
        metadata={
            "group": "advanced",
            "help": "high: run a second pass on the subject's bounding box, to sharpen small subjects",
        },
    )
    max_size: int | None = field(
        default=None,
        metadata={
            "group": "layout",
            "minimum": 16,
            "maximum": 65_535,
            "unit": "px",
            "help": "maximum length of the result's longer side, in pixels",
        },
    )
    max_area: int | None = field(
        default=None,
        metadata={
            "group": "advanced",
            "minimum": 256,
            "maximum": 1_000_000_000,
            "unit": "px",
            "help": "maximum number of the result's pixels, width times height",
        },
    )
    quality: int = field(
        default=90,
        metadata={
            "group": "result",
            "minimum": 1,
            "maximum": 100,
            "help": "compression quality of webp and jpeg",
        },
    )
    lossless: bool = field(
        default=False, metadata={"group": "advanced", "help": "lossless compression of webp"}
    )
