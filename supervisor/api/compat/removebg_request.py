"""Parameters of remove.bg's API: their names, values and defaults, and how they are read.

After remove.bg's public API reference (https://www.remove.bg/api). As there, unknown parameters are ignored,
empty ones count as absent, and numbers of JSON are taken for text.
"""

import logging
from collections.abc import Mapping
from typing import Literal, TypeVar

from fastapi import UploadFile
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import UploadFile as FormFile

from supervisor.api.compat.removebg_errors import RemovebgRefusal
from supervisor.api.field_limits import quote_text
from supervisor.api.openapi import describe_form_fields, omit_files

SOURCES = ("image_file", "image_file_b64", "image_url")
IMAGE_BACKGROUNDS = ("bg_image_file", "bg_image_url")
BACKGROUNDS = ("bg_color", *IMAGE_BACKGROUNDS)
MULTIPART = "multipart/form-data"  # the only body that holds files
MEDIA_TYPES = (MULTIPART, "application/x-www-form-urlencoded", "application/json")
MAX_LOGGED = 10  # names of unknown parameters in one log line

log = logging.getLogger("supervisor.http")


class ImageSources(BaseModel):
    """The parameters that hold a photo; exactly one of them is to be given."""

    model_config = ConfigDict(frozen=True, json_schema_extra=describe_form_fields)

    image_file: UploadFile | None = Field(None, description="the photo")
    image_file_b64: str | None = Field(None, description="the photo in base64")
    image_url: str | None = Field(None, description="URL of the photo, http or https")

    def find_source(self) -> str:
        """Return the name of the one parameter that holds the image. Raises RemovebgRefusal."""
        match self._given(SOURCES):
            case []:
                raise RemovebgRefusal(
                    "missing_source", "No image given", f"Send one of {', '.join(SOURCES)}."
                )
            case [name]:
                return name
            case several:
                detail = f"Send only one of {', '.join(several)}."
                raise RemovebgRefusal("multiple_sources", "Multiple image sources given", detail)

    def _given(self, names: tuple[str, ...]) -> list[str]:
        return [name for name in names if getattr(self, name) is not None]


Parameters = TypeVar("Parameters", bound=ImageSources)


class RemovebgRequest(ImageSources):
    """The parameters of remove.bg's `POST /v1.0/removebg`."""

    size: Literal["preview", "small", "regular", "medium", "hd", "full", "4k", "50MP", "auto"] = Field(
        "preview",
        description="the most pixels, in millions: preview, small, regular 0.25, medium 1.5, hd 4, full, 4k, "
        "auto 25, 50MP 50; a png at most 10",
    )
    type: Literal[
        "auto",
        "person",
        "product",
        "animal",
        "car",
        "car_interior",
        "car_part",
        "transportation",
        "graphic",
        "graphics",
        "other",
    ] = Field("auto", description="what the subject is; given back as X-Type, without effect on the result")
    type_level: Literal["none", "1", "2", "latest"] = Field("1", description="none: no X-Type")
    format: Literal["auto", "png", "jpg", "webp", "zip"] = Field(
        "auto",
        description="auto: jpg with an opaque background, else png; zip: color.jpg and alpha.png",
    )
    roi: str = Field(
        "0% 0% 100% 100%", description="left top right bottom, px or %: only what is inside can be subject"
    )
    crop: bool = Field(default=False, description="cut the result to the subject's box")
    crop_margin: str = Field(
        "0", description="with crop: room around the box, px or %, for all sides, in pairs, or for each"
    )
    scale: str = Field("original", description="share of the image that the subject fills: 10% to 100%")
    position: str = Field(
        "original", description="the subject's place: center, or percentages, horizontal and vertical"
    )
    channels: Literal["rgba", "alpha"] = Field("rgba", description="alpha: the alpha alone, in grey")
    add_shadow: bool = Field(default=False, description="older than shadow_type: true is auto")
    shadow_type: Literal["none", "auto", "drop", "car", "3D"] | None = Field(
        None, description="drop: behind the subject; auto, car, 3D: on the ground"
    )
    shadow_opacity: int | None = Field(None, ge=0, le=100, description="in percent; 50 by default")
    semitransparency: bool = Field(default=True, description="without effect")
    bg_color: str | None = Field(
        None, description="a colour to put behind: 81d4fa, fff, 81d4fa77 or its name"
    )
    bg_image_url: str | None = Field(None, description="URL of an image to put behind")
    bg_image_file: UploadFile | None = Field(None, description="an image to put behind")

    def find_background(self) -> str | None:
        """Return the name of the parameter that holds the background, if any. Raises RemovebgRefusal."""
        given = self._given(BACKGROUNDS)
        if len(given) > 1:
            detail = f"Send only one of {', '.join(given)}."
            raise RemovebgRefusal("multiple_bg_sources", "Multiple background sources given", detail)
        return given[0] if given else None


def describe_body(kind: type[ImageSources]) -> dict[str, object]:
    """Return the OpenAPI request body of a route that takes the parameters of `kind` in any kind of body.

    Not `required`: for a body that is, openapi-python-client 0.29 generates a module that fails on import.
    """
    schema = kind.model_json_schema()
    forms = {media_type: {"schema": omit_files(schema)} for media_type in MEDIA_TYPES}
    return {"content": forms | {MULTIPART: {"schema": schema}}}


def read_request(kind: type[Parameters], fields: Mapping[str, object]) -> Parameters:
    """Validate the parameters that were sent, as those of `kind`. Raises RemovebgRefusal."""
    if unknown := sorted(set(fields) - set(kind.model_fields)):
        names = ", ".join(map(quote_text, unknown[:MAX_LOGGED]))
        log.debug("unknown parameters ignored", extra={"names": names})
    try:
        return kind.model_validate(
            {
                name: _to_text(value)
                for name, value in fields.items()
                if name in kind.model_fields and is_given(value)
            }
        )
    except ValidationError as error:
        problem = error.errors()[0]
        reason = "It is a file" if "UploadFile" in problem["msg"] else problem["msg"]
        raise make_parameter_error(str(problem["loc"][0]), f"{reason}.") from error


def is_given(value: object) -> bool:
    """Whether a parameter's value counts as sent: neither null, nor empty text, nor an empty file."""
    return value not in (None, "") and not (isinstance(value, FormFile) and value.size == 0)


def _to_text(value: object) -> object:
    """Return a number or boolean of JSON as the text that a form would have."""
    return str(value).lower() if isinstance(value, bool | int | float) else value


def make_parameter_error(name: str, detail: str) -> RemovebgRefusal:
    """Return the error for a parameter with an invalid value."""
    return RemovebgRefusal(f"invalid_{name}", f"Invalid {name} parameter given", detail)
