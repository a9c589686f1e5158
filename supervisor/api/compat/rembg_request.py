"""Parameters of rembg's server, and their translation into removal options.

After the HTTP server of rembg 2.0 (https://github.com/danielgatis/rembg, `rembg s`). What this service cannot
do is refused by its name; what rembg does not look at, such as thresholds without `a`, is not looked at here.
"""

import re
from typing import Annotated

from fastapi import UploadFile
from pydantic import BaseModel, ConfigDict, Field

from shared.catalog import ModelSpec
from shared.errors import InvalidOption, ModelNotServed
from shared.options import ModelChoice, RemovalOptions
from supervisor.api.field_limits import quote_text
from supervisor.api.openapi import describe_form_fields

Threshold = Annotated[int, Field(ge=0, le=255)]
# The built-in model is U²-Net-p; silueta is a smaller U²-Net. Those trained for people or clothes differ.
_BUILTIN = ("u2net", "u2netp", "silueta")
# rembg's name of a BiRefNet, and how the purpose of a model in the catalogue begins that does the same.
_BIREFNET = {
    "birefnet-general": "general",
    "birefnet-general-lite": "general, small",
    "birefnet-portrait": "people",
}
_CHANNEL = re.compile(r"[0-9]{1,3}")


class RembgOptions(BaseModel):
    """Parameters of rembg's `/api/remove`, in a form or the query string."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=describe_form_fields)

    model: str | None = Field(None, description="a model by rembg's name; left out: the best one there is")
    a: bool | None = Field(None, description="alpha matting: here, the subject's own colour on soft edges")
    af: Threshold = Field(240, description="alpha matting's foreground threshold: with a, only 240")
    ab: Threshold = Field(10, description="alpha matting's background threshold: with a, only 10")
    ae: int = Field(10, ge=0, description="alpha matting's erosion: with a, only 10")
    om: bool = Field(default=False, description="the mask alone")
    ppm: bool = Field(default=False, description="post-process the mask: only false")
    bgc: str | None = Field(None, description="a colour to put behind: red,green,blue,alpha, each 0 to 255")
    extras: str | None = Field(None, description="only empty")


class RembgForm(RembgOptions):
    """Form of rembg's `POST /api/remove`."""

    file: UploadFile = Field(description="the photo")


class RembgQuery(RembgOptions):
    """Query string of rembg's `GET /api/remove`."""

    url: str = Field(description="URL of the photo, http or https")


def to_removal_options(asked: RembgOptions, birefnet: ModelSpec) -> RemovalOptions:
    """Translate rembg's parameters into removal options. Raises ModelNotServed or InvalidOption."""
    if asked.a and (asked.af, asked.ab, asked.ae) != (240, 10, 10):
        raise InvalidOption("af, ab and ae cannot be honoured: this service's edges need no thresholds.")
    if asked.ppm:
        raise InvalidOption("ppm cannot be honoured: this service does not harden its masks.")
    if asked.extras and asked.extras.strip() not in ("", "{}"):
        raise InvalidOption("extras cannot be honoured: no model here takes any.")
    return RemovalOptions(
        model=choose_model(asked.model, birefnet),
        output="mask" if asked.om else "cutout",
        background=None if asked.bgc is None or asked.om else parse_colour(asked.bgc),
        refine=asked.a is not False,
    )


def choose_model(name: str | None, birefnet: ModelSpec) -> ModelChoice:
    """Translate rembg's name of a model, with `birefnet` as the served BiRefNet. Raises ModelNotServed."""
    if name is None:
        return "auto"
    choices = list_model_names(birefnet)
    if name not in choices:
        raise ModelNotServed(
            f"There is no model {quote_text(name)} here: name one of {', '.join(choices)}, or none."
        )
    return choices[name]


def list_model_names(birefnet: ModelSpec) -> dict[str, ModelChoice]:
    """Return the served model for each of rembg's names, with `birefnet` as the served BiRefNet."""
    choices: dict[str, ModelChoice] = dict.fromkeys(_BUILTIN, "builtin")
    for name, purpose in _BIREFNET.items():
        fits = birefnet.purpose is not None and birefnet.purpose.startswith(purpose)
        small = "small" in (birefnet.purpose or "")
        if fits and small == ("small" in purpose):
            choices[name] = "birefnet"
    return choices


def parse_colour(text: str) -> str:
    """Translate rembg's colour, "red,green,blue,alpha". Raises InvalidOption."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 4 or not all(_CHANNEL.fullmatch(part) and int(part) <= 255 for part in parts):
        raise InvalidOption("bgc is not red,green,blue,alpha, each from 0 to 255.")
    return "#" + bytes(map(int, parts)).hex()
