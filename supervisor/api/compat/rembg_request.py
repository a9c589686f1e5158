"""Parameters of rembg's server, and their translation into removal options.

After the HTTP server of rembg 2.0.86 (https://github.com/danielgatis/rembg, `rembg s`). What rembg ignores is
ignored here: unknown fields, thresholds, and extras that are not a JSON object.
"""

import json
import re
from typing import Annotated

from fastapi import UploadFile
from pydantic import BaseModel, ConfigDict, Field

from shared.catalog import ModelSpec
from shared.errors import InvalidOption, ModelNotServed
from shared.options import RemovalOptions
from supervisor.api.field_limits import quote_text
from supervisor.api.openapi import describe_form_fields

Threshold = Annotated[int, Field(ge=0, le=255)]
# General U²-Nets, as the built-in U²-Net-p is; those trained for people or clothes have other results.
_BUILTIN = ("u2net", "u2netp", "silueta")
# rembg's names of BiRefNet models, each with the start of the same model's purpose in the catalogue.
_BIREFNET = {
    "birefnet-general": "general",
    "birefnet-general-lite": "general, small",
    "birefnet-portrait": "people",
}
_CHANNEL = re.compile(r"\s*[+-]?[0-9]{1,9}\s*")


class RembgOptions(BaseModel):
    """Parameters of rembg's `/api/remove`, in a form or the query string."""

    model_config = ConfigDict(extra="ignore", json_schema_extra=describe_form_fields)

    model: str | None = Field(None, description="a model by rembg's name; left out: the best one there is")
    a: bool | None = Field(None, description="alpha matting: here, the subject's own colour on soft edges")
    af: Threshold = Field(240, description="alpha matting's foreground threshold: without effect")
    ab: Threshold = Field(10, description="alpha matting's background threshold: without effect")
    ae: int = Field(10, ge=0, description="alpha matting's erosion: without effect")
    om: bool = Field(default=False, description="the mask alone")
    ppm: bool = Field(default=False, description="post-process the mask: opening, blur and threshold")
    dc: bool | None = Field(None, description="decontaminate edges: the subject's own colour on soft edges")
    vm: bool = Field(default=False, description="ViTMatte: only false, or with om")
    bgc: str | None = Field(
        None, description="a colour to put behind: red,green,blue or red,green,blue,alpha"
    )
    extras: str | None = Field(None, description='JSON: {"putalpha": true} keeps the photo\'s colours')


class RembgForm(RembgOptions):
    """Form of rembg's `POST /api/remove`."""

    file: UploadFile = Field(description="the photo")


class RembgQuery(RembgOptions):
    """Query string of rembg's `GET /api/remove`."""

    url: str = Field(description="URL of the photo, http or https")


def to_removal_options(asked: RembgOptions, birefnet: ModelSpec, own: str | None = None) -> RemovalOptions:
    """Translate rembg's parameters into removal options. Raises ModelNotServed or InvalidOption.

    `birefnet` is the default model; `own` is the model whose file is rembg's, if it is on disk.
    """
    if asked.vm and not asked.om:
        raise InvalidOption(
            "vm cannot be honoured: ViTMatte is not served here. Send a=true or leave it out."
        )
    return RemovalOptions(
        model=own or choose_model(asked.model, birefnet),
        output="mask" if asked.om else "cutout",
        background=parse_colour(asked.bgc) if asked.bgc and not asked.om else None,
        refine=is_refined(asked),
        post_process_mask=asked.ppm,
    )


def is_refined(asked: RembgOptions) -> bool:
    """Whether to estimate the foreground: by default, and unless `a` or `dc` is false and neither is true.

    Of rembg's extras, `putalpha` keeps the photo's colours without `a`; its other models take the rest.
    """
    if asked.a:
        return True
    return not _has_putalpha(asked.extras or "") and (asked.dc or (asked.a is None and asked.dc is None))


def _has_putalpha(extras: str) -> bool:
    try:
        values = json.loads(extras)
    except (ValueError, RecursionError):  # no JSON, or one that is nested too deeply
        return False
    return isinstance(values, dict) and bool(values.get("putalpha"))


def choose_model(name: str | None, birefnet: ModelSpec) -> str:
    """Translate rembg's name of a model, with `birefnet` as the served BiRefNet. Raises ModelNotServed."""
    if name is None:
        return "auto"
    choices = list_model_names(birefnet)
    if name not in choices:
        raise ModelNotServed(
            f"There is no model {quote_text(name)} here: name one of {', '.join(choices)}, or none."
        )
    return choices[name]


def list_model_names(birefnet: ModelSpec) -> dict[str, str]:
    """Return the served model for each of rembg's names, with `birefnet` as the served BiRefNet."""
    choices: dict[str, str] = dict.fromkeys(_BUILTIN, "builtin")
    for name, purpose in _BIREFNET.items():
        fits = birefnet.purpose is not None and birefnet.purpose.startswith(purpose)
        small = "small" in (birefnet.purpose or "")
        if fits and small == ("small" in purpose):
            choices[name] = "birefnet"
    return choices


def parse_colour(text: str) -> str:
    """Translate rembg's colour, "red,green,blue" or "red,green,blue,alpha". Raises InvalidOption.

    Integers beyond 0 to 255 are clipped, as Pillow does for rembg.
    """
    parts = text.split(",")
    if len(parts) not in {3, 4} or not all(map(_CHANNEL.fullmatch, parts)):
        raise InvalidOption("bgc is not red,green,blue or red,green,blue,alpha, each from 0 to 255.")
    return "#" + bytes(min(max(int(part), 0), 255) for part in parts).hex()
