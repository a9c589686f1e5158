"""Parameters of remove.bg's API, and their translation into removal options.

After remove.bg's public API reference (https://www.remove.bg/api). What this service cannot do is refused by
its name; a value that asks for nothing, such as the whole photo as region, is let through. As there, unknown
parameters are ignored, empty ones count as absent, and numbers of JSON are taken for text.
"""

import logging
import re
from collections.abc import Mapping
from math import isqrt
from typing import Literal, TypeVar

from fastapi import UploadFile
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import UploadFile as FormFile

from shared.colours import is_opaque, validate_colour
from shared.errors import InvalidOption
from shared.lengths import parse_lengths
from shared.options import FormatChoice, RemovalOptions
from supervisor.api.compat.removebg_errors import RemovebgRefusal
from supervisor.api.field_limits import quote_text
from supervisor.api.openapi import describe_form_fields

MAX_PIXELS = {"preview": 250_000, "small": 250_000, "regular": 250_000, "medium": 1_500_000, "hd": 4_000_000}
SOURCES = ("image_file", "image_file_b64", "image_url")
IMAGE_BACKGROUNDS = ("bg_image_file", "bg_image_url")
BACKGROUNDS = ("bg_color", *IMAGE_BACKGROUNDS)
MAX_MARGIN_PX, MAX_MARGIN_SHARE = 500, 0.5
# Values that ask for nothing, so that they are honoured by doing nothing.
_WHOLE_PHOTO = re.compile(r"0(%|px)? 0(%|px)? 100% 100%")
_NEUTRAL = {
    "roi": _WHOLE_PHOTO,
    "scale": re.compile("original"),
    "position": re.compile("original"),
    "add_shadow": re.compile("False"),
    "shadow_type": re.compile("none"),
    "semitransparency": re.compile("True"),
}
MAX_LOGGED = 10  # names of unknown parameters in one log line
_HEX = re.compile(r"([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})", re.IGNORECASE)

log = logging.getLogger("supervisor.http")


class ImageSources(BaseModel):
    """The parameters that hold a photo; exactly one of them is to be given."""

    model_config = ConfigDict(frozen=True, json_schema_extra=describe_form_fields)

    image_file: UploadFile | None = Field(None, description="the photo")
    image_file_b64: str | None = Field(None, description="the photo in base64")
    image_url: str | None = Field(None, description="URL of the photo, http or https")

    def source(self) -> str:
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
        description="the most pixels: preview, small, regular 0.25 million, medium 1.5, hd 4; else its own",
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
        "auto", description="auto: jpg with an opaque background, else png; zip is refused"
    )
    roi: str = Field("0% 0% 100% 100%", description="only the whole photo")
    crop: bool = Field(default=False, description="cut the result to the subject's box")
    crop_margin: str = Field("0", description="room around the box, the same on all sides: 20px or 5%")
    scale: str = Field("original", description="only original")
    position: str = Field("original", description="only original")
    channels: Literal["rgba", "alpha"] = Field("rgba", description="alpha: the alpha alone, in grey")
    add_shadow: bool = Field(default=False, description="only false")
    shadow_type: str = Field("none", description="only none")
    shadow_opacity: int = Field(50, ge=0, le=100, description="without effect, as there are no shadows")
    semitransparency: bool = Field(default=True, description="only true")
    bg_color: str | None = Field(
        None, description="a colour to put behind: 81d4fa, fff, 81d4fa77 or its name"
    )
    bg_image_url: str | None = Field(None, description="URL of an image to put behind")
    bg_image_file: UploadFile | None = Field(None, description="an image to put behind")

    def background(self) -> str | None:
        """Return the name of the parameter that holds the background, if any. Raises RemovebgRefusal."""
        given = self._given(BACKGROUNDS)
        if len(given) > 1:
            detail = f"Send only one of {', '.join(given)}."
            raise RemovebgRefusal("multiple_bg_sources", "Multiple background sources given", detail)
        return given[0] if given else None

    def options(self) -> RemovalOptions:
        """Return the removal options, without a background image. Raises RemovebgRefusal."""
        self._refuse_what_cannot_be_done()
        colour = parse_colour(self.bg_color) if self.bg_color else None
        limit = MAX_PIXELS.get(self.size)
        format_ = self._format(colour)
        if format_ == "jpeg" and self.background() is None and self.channels == "rgba":
            colour = "#ffffff"  # a JPEG has no transparency
        if format_ == "jpeg" and colour and not is_opaque(colour):
            raise invalid_parameter("bg_color", "A jpg has no transparency: the colour must be opaque.")
        return RemovalOptions(
            output="mask" if self.channels == "alpha" else "cutout",
            format=format_,
            background=colour,
            crop=self.crop,
            margin=parse_removebg_margin(self.crop_margin),
            # Of all shapes with that longest side, none has more pixels than the square.
            max_size=isqrt(limit) if limit else None,
        )

    def _refuse_what_cannot_be_done(self) -> None:
        for name, neutral in _NEUTRAL.items():
            value = " ".join(str(getattr(self, name)).split())
            if not neutral.fullmatch(value):
                raise unsupported_parameter(name, "this service does not do that")
        if self.format == "zip":
            raise unsupported_parameter("format", "this service has no zip of color.jpg and alpha.png")
        background = self.background()
        if background and self.channels == "alpha":
            raise unsupported_parameter(background, "the alpha alone has no background")

    def _format(self, colour: str | None) -> FormatChoice:
        match self.format:
            case "jpg":
                return "jpeg"
            case "webp":
                return "webp"
            case "auto" if (colour and is_opaque(colour)) or self.background() in IMAGE_BACKGROUNDS:
                return "jpeg"
        return "png"


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
        raise invalid_parameter(str(problem["loc"][0]), f"{reason}.") from error


def is_given(value: object) -> bool:
    """Whether a parameter's value counts as sent: neither null, nor empty text, nor an empty file."""
    return value not in (None, "") and not (isinstance(value, FormFile) and value.size == 0)


def _to_text(value: object) -> object:
    """Return a number or boolean of JSON as the text that a form would have."""
    return str(value).lower() if isinstance(value, bool | int | float) else value


def parse_removebg_margin(text: str) -> str:
    """Translate remove.bg's `crop_margin`: one value for all sides. Raises RemovebgRefusal."""
    try:
        margins = parse_lengths(text, "crop_margin", (1, 2, 4), "20px or 5%, once, twice or four times")
    except InvalidOption as error:
        raise invalid_parameter("crop_margin", error.detail) from error
    if any(margin.amount > (MAX_MARGIN_SHARE if margin.is_share else MAX_MARGIN_PX) for margin in margins):
        raise invalid_parameter("crop_margin", "It is 500px or 50% at most.")
    return text


def parse_colour(text: str) -> str:
    """Translate remove.bg's colour: # before hexadecimal digits. Raises RemovebgRefusal."""
    digits, colour = text.removeprefix("#"), text
    if _HEX.fullmatch(digits):
        colour = "#" + ("".join(digit * 2 for digit in digits) if len(digits) == 4 else digits)
    try:
        validate_colour(colour)
    except InvalidOption as error:
        raise invalid_parameter(
            "bg_color", "It is a colour such as 81d4fa, fff, 81d4fa77, or its name."
        ) from error
    return colour


def invalid_parameter(name: str, detail: str) -> RemovebgRefusal:
    """Return the error for a parameter with an invalid value."""
    return RemovebgRefusal(f"invalid_{name}", f"Invalid {name} parameter given", detail)


def unsupported_parameter(name: str, why: str) -> RemovebgRefusal:
    """Return the error for a valid value of remove.bg that this service does not support."""
    return RemovebgRefusal(
        f"invalid_{name}",
        f"{name} cannot be honoured",
        f"{name} cannot be honoured: {why}.",
    )
