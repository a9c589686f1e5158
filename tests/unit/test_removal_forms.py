"""The forms of a removal and the declaration of its options agree."""

from dataclasses import fields
from typing import get_type_hints

from shared.options import RemovalOptions, option_fields
from supervisor.api.removal_forms import OptionFields, UploadForm


def test_the_form_has_every_option_with_its_type_and_limits() -> None:
    """One that is missing could not be sent; one with another type would be refused, or crash the worker."""
    declared = get_type_hints(RemovalOptions)
    form = get_type_hints(OptionFields)
    assert {name: form[name] for name in OptionFields.model_fields} == declared
    for option in option_fields():
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
    assert form.options() == RemovalOptions(**values)  # type: ignore[arg-type]
