"""The forms of a removal and the declaration of its options agree."""

from dataclasses import fields
from typing import Any, get_type_hints

import pytest
from fastapi import UploadFile

from shared.errors import InvalidOption
from shared.option_descriptions import describe_fields
from shared.options import RemovalOptions
from shared.presets import BUILT_IN
from supervisor.api.removal_forms import OptionFields, UploadForm, UrlRequest


def test_the_form_has_every_option_with_its_type_and_limits() -> None:
    """One that is missing could not be sent; one with another type would be refused, or crash the worker."""
    declared = get_type_hints(RemovalOptions)
    form = get_type_hints(OptionFields)
    assert {name: form[name] for name in OptionFields.model_fields} == {"preset": str | None, **declared}
    for option in describe_fields():
        field = OptionFields.model_fields[option.name]
        assert (field.default, field.description) == (option.default, option.help)
        limits = {
            name: getattr(rule, name)
            for rule in field.metadata
            for name in ("ge", "le")
            if hasattr(rule, name)
        }
        assert (limits.get("ge"), limits.get("le")) == (option.minimum, option.maximum)


def test_each_field_reaches_the_options() -> None:
    """A value that is dropped on the way would be ignored without a word."""
    values = {
        "format": "webp",
        "quality": 7,
        "crop": True,
        "max_size": 99,
        "background": "red",
        "detail": "high",
    }
    values |= {"model": "builtin", "output": "both", "refine": False, "margin": "5%", "lossless": True}
    values |= {"roi": "0 0 9 9", "canvas": "1:1", "scale": "80%", "position": "10%", "max_area": 9999}
    values |= {"shadow": "drop", "shadow_opacity": 9, "shadow_blur": "1%", "shadow_offset": "1 2"}
    values |= {"shadow_colour": "red", "post_process_mask": True}
    assert set(values) == {field.name for field in fields(RemovalOptions)}
    form = UploadForm.model_construct(**values)  # type: ignore[arg-type]
    assert form.to_options(BUILT_IN) == RemovalOptions(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sent", "changed"),
    [
        ({}, {}),
        ({"quality": 70}, {"quality": 70}),
        ({"format": "png"}, {"format": "png"}),  # also if it is the option's own default
        ({"background": None}, {"background": None}),
        ({"crop_margin": "5%"}, {"margin": "5%"}),
        ({"shadow": "ground"}, {"shadow": "ground"}),
    ],
)
def test_options_that_are_sent_take_precedence_over_the_preset(
    sent: dict[str, Any], changed: dict[str, Any]
) -> None:
    """A client could not switch off what a preset sets otherwise."""
    request = UrlRequest.model_validate({"url": "http://a/b.png", "preset": "marketplace", **sent})
    assert request.to_options(BUILT_IN) == RemovalOptions(**{**BUILT_IN["marketplace"], **changed})


def test_a_background_image_replaces_the_background_of_a_preset() -> None:
    """The two exclude each other where both were sent."""
    image = UploadFile(None)  # type: ignore[arg-type]
    form = UploadForm(file=image, background_file=image, mask_file=None, preset="marketplace")
    assert form.to_options(BUILT_IN).background is None
    assert form.to_options(BUILT_IN).canvas == "2000x2000"


def test_an_unknown_preset_is_refused_with_the_names_of_all() -> None:
    """A typing error would otherwise give results without the preset."""
    with pytest.raises(InvalidOption, match=r"'preset'.*marketplace, product-shadow, avatar"):
        OptionFields(preset="market").to_options(BUILT_IN)
