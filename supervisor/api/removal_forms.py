"""The forms of a removal: the multipart form of an upload, and the JSON of a URL."""

from collections.abc import Set as AbstractSet
from dataclasses import asdict
from typing import Any

from fastapi import UploadFile
from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.option_descriptions import BACKGROUND_FILE, PRESET, describe_fields
from shared.options import DetailChoice, FormatChoice, OutputChoice, RemovalOptions, ShadowChoice
from shared.presets import Presets, apply_preset, find_preset
from supervisor.api.openapi import describe_form_fields

_OPTIONS = {option.name: option for option in describe_fields()}


def _make_field(name: str) -> Any:  # noqa: ANN401  # as pydantic's Field, for any type of field
    option = _OPTIONS[name]
    return Field(option.default, description=option.help, ge=option.minimum, le=option.maximum)


class OptionFields(BaseModel):
    """A preset, and the fields of `RemovalOptions` with the limits and descriptions declared there."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=describe_form_fields)

    preset: str | None = Field(None, description=PRESET.help)
    model: str = _make_field("model")
    output: OutputChoice = _make_field("output")
    format: FormatChoice = _make_field("format")
    background: str | None = _make_field("background")
    refine: bool = _make_field("refine")
    roi: str | None = _make_field("roi")
    crop: bool = _make_field("crop")
    margin: str = _make_field("margin")
    canvas: str | None = _make_field("canvas")
    scale: str | None = _make_field("scale")
    position: str | None = _make_field("position")
    shadow: ShadowChoice = _make_field("shadow")
    shadow_opacity: int = _make_field("shadow_opacity")
    shadow_blur: str | None = _make_field("shadow_blur")
    shadow_offset: str | None = _make_field("shadow_offset")
    shadow_colour: str = _make_field("shadow_colour")
    post_process_mask: bool = _make_field("post_process_mask")
    detail: DetailChoice = _make_field("detail")
    max_size: int | None = _make_field("max_size")
    max_area: int | None = _make_field("max_area")
    quality: int = _make_field("quality")
    lossless: bool = _make_field("lossless")

    @model_validator(mode="before")
    @classmethod
    def _rename_crop_margin(cls, sent: object) -> object:
        """Accept `crop_margin`, the name of `margin` up to version 0.1."""
        if not isinstance(sent, dict) or "crop_margin" not in sent or "margin" in sent:
            return sent
        return {("margin" if name == "crop_margin" else name): value for name, value in sent.items()}

    def to_options(self, presets: Presets) -> RemovalOptions:
        """Return the removal options: those sent, then the preset's. Raises InvalidOption."""
        if self.preset is None:
            return RemovalOptions(**self.model_dump(include=set(_OPTIONS)))
        sent = self.model_dump(include=self.model_fields_set & set(_OPTIONS))
        has_background_file = getattr(self, BACKGROUND_FILE.name, None) is not None
        preset = find_preset(presets, self.preset)
        return RemovalOptions(**apply_preset(preset, sent, has_background_file=has_background_file))


CALLBACK_URL: Any = Field(None, description="URL to POST the end of the removal to (webhook), http or https")


MASK_HELP = "the matte, of the photo's aspect ratio: its alpha channel, else its grey; no model runs"


class UploadForm(OptionFields):
    """The multipart form of `POST /remove/upload`."""

    file: UploadFile = Field(description="the photo")
    callback_url: str | None = CALLBACK_URL
    background_file: UploadFile | None = Field(None, description=BACKGROUND_FILE.help)
    mask_file: UploadFile | None = Field(None, description=MASK_HELP)


class EditForm(OptionFields):
    """The multipart form of `POST /remove/edit/{task_id}`: what is not sent stays as it was."""

    callback_url: str | None = CALLBACK_URL
    background_file: UploadFile | None = Field(None, description=BACKGROUND_FILE.help)
    mask_file: UploadFile | None = Field(None, description=MASK_HELP)

    def edit(self, before: RemovalOptions, unset: AbstractSet[str], presets: Presets) -> RemovalOptions:
        """Return the options `before` with those sent instead, and with those `unset` at their defaults.

        Raises InvalidOption.
        """
        sent = self.model_dump(include=self.model_fields_set & set(_OPTIONS))
        has_background_file = self.background_file is not None
        if self.preset is not None:
            preset = find_preset(presets, self.preset)
            sent = apply_preset(preset, sent, has_background_file=has_background_file)
        kept = {name: value for name, value in asdict(before).items() if name not in unset}
        if has_background_file:
            kept.pop("background", None)
        return RemovalOptions(**kept | sent)


class UrlRequest(OptionFields):
    """The JSON of `POST /remove/url`, read as forms are: "20" is accepted for 20, and "" counts as absent."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    url: str = Field(strict=True, description="URL of the photo, http or https")
    callback_url: str | None = CALLBACK_URL
    mask_url: str | None = Field(None, strict=True, examples=[""], description=f"URL of {MASK_HELP}")

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, sent: object) -> object:
        if not isinstance(sent, dict):
            return sent
        return {name: value for name, value in sent.items() if value != ""}
