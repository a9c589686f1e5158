"""What rembg's clients may ask, and which options of a removal that is.

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
    """The options of rembg's `/api/remove`, in a form or in the address."""

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
    """rembg's form."""

    file: UploadFile = Field(description="the photo")


class RembgQuery(RembgOptions):
    """rembg's address."""

    url: str = Field(description="URL of the photo, http or https")


def removal_options(asked: RembgOptions, birefnet: ModelSpec) -> RemovalOptions:
    """Return the removal that is asked for. Raises ModelNotServed or InvalidOption."""
    if asked.a and (asked.af, asked.ab, asked.ae) != (240, 10, 10):
        raise InvalidOption("af, ab and ae cannot be honoured: this service's edges need no thresholds.")
    if asked.ppm:
        raise InvalidOption("ppm cannot be honoured: this service does not harden its masks.")
    if asked.extras and asked.extras.strip() not in ("", "{}"):
        raise InvalidOption("extras cannot be honoured: no model here takes any.")
    return RemovalOptions(
        model=model_choice(asked.model, birefnet),
        output="mask" if asked.om else "cutout",
        background=None if asked.bgc is None or asked.om else colour_of(asked.bgc),
        refine=asked.a is not False,
    )


def model_choice(name: str | None, birefnet: ModelSpec) -> ModelChoice:
    """Return this service's model for rembg's name of one, `birefnet` being served. Raises ModelNotServed."""
    if name is None:
        return "auto"
    choices = served_names(birefnet)
    if name not in choices:
        raise ModelNotServed(
            f"There is no model {quote_text(name)} here: name one of {', '.join(choices)}, or none."
        )
    return choices[name]


def served_names(birefnet: ModelSpec) -> dict[str, ModelChoice]:
    """Return the names of rembg's models that this service has an equal for, `birefnet` being served."""
    choices: dict[str, ModelChoice] = dict.fromkeys(_BUILTIN, "builtin")
    for name, purpose in _BIREFNET.items():
        fits = birefnet.purpose is not None and birefnet.purpose.startswith(purpose)
        small = "small" in (birefnet.purpose or "")
        if fits and small == ("small" in purpose):
            choices[name] = "birefnet"
    return choices


def colour_of(text: str) -> str:
    """Return rembg's colour, "red,green,blue,alpha", as this service's. Raises InvalidOption."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 4 or not all(_CHANNEL.fullmatch(part) and int(part) <= 255 for part in parts):
        raise InvalidOption("bgc is not red,green,blue,alpha, each from 0 to 255.")
    return "#" + bytes(map(int, parts)).hex()
