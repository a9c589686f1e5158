"""What rembg's clients ask, as removals of this service."""

import pytest

from shared.catalog import CATALOG, find_model
from shared.errors import InvalidOption, ModelNotServed
from shared.options import RemovalOptions
from supervisor.api.compat.rembg_request import (
    RembgOptions,
    choose_model,
    list_model_names,
    to_removal_options,
)

GENERAL = find_model("BiRefNet")


def asked(**fields: object) -> RemovalOptions:
    """Return the removal that those of rembg's fields ask for."""
    return to_removal_options(RembgOptions.model_validate(fields), GENERAL)


def test_without_options_the_best_model_cuts_out_with_clean_edges() -> None:
    """Most clients send the photo alone."""
    assert asked() == RemovalOptions()


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({"om": "true"}, RemovalOptions(output="mask")),
        ({"om": "true", "vm": "true"}, RemovalOptions(output="mask")),
        ({"ppm": "true"}, RemovalOptions(post_process_mask=True)),
        ({"a": "1"}, RemovalOptions(refine=True)),
        ({"a": "1", "dc": "0", "af": 0, "ab": 255, "ae": 1000}, RemovalOptions(refine=True)),
        ({"a": "false", "af": 200}, RemovalOptions(refine=False)),
        ({"dc": "false"}, RemovalOptions(refine=False)),
        ({"a": "false", "dc": "true"}, RemovalOptions(refine=True)),
        ({"zz": "1"}, RemovalOptions()),
        ({"bgc": "255, 0,128,255"}, RemovalOptions(background="#ff0080ff")),
        ({"bgc": "+256,-1, 7 "}, RemovalOptions(background="#ff0007")),
        ({"bgc": ""}, RemovalOptions()),
        ({"bgc": "1,2,3,4", "om": True}, RemovalOptions(output="mask")),
        ({"model": "u2netp", "extras": "{}"}, RemovalOptions(model="builtin")),
        ({"model": "birefnet-general"}, RemovalOptions(model="birefnet")),
        ({"extras": '{"putalpha": true}'}, RemovalOptions(refine=False)),
        ({"extras": '{"putalpha": true}', "dc": "1"}, RemovalOptions(refine=False)),
        ({"extras": '{"putalpha": true}', "a": "1"}, RemovalOptions(refine=True)),
        ({"extras": '{"sam_prompt": []}'}, RemovalOptions()),
        ({"extras": "[" * 2000}, RemovalOptions()),
        ({"extras": "not json"}, RemovalOptions()),
    ],
)
def test_each_option_has_its_equal(fields: dict[str, object], options: RemovalOptions) -> None:
    """A script written for rembg gets what it asks for."""
    assert asked(**fields) == options


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"vm": True}, "vm"),
        ({"bgc": "255,255"}, "bgc"),
        ({"bgc": "1,2,3,4,5"}, "bgc"),
        ({"bgc": "white"}, "bgc"),
        ({"bgc": "1,2,3," + "4" * 5000}, "bgc"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(fields: dict[str, object], name: str) -> None:
    """An option that did nothing would be worse than one that fails."""
    with pytest.raises(InvalidOption, match=name):
        asked(**fields)


@pytest.mark.parametrize(
    ("served", "names"),
    [
        ("BiRefNet", {"birefnet-general"}),
        ("BiRefNet_dynamic", {"birefnet-general"}),
        ("BiRefNet_lite", {"birefnet-general-lite"}),
        ("BiRefNet-portrait", {"birefnet-portrait"}),
        ("BiRefNet-matting", set()),
        ("someone/fine-tune", set()),
    ],
)
def test_a_birefnet_answers_to_the_names_of_its_like(served: str, names: set[str]) -> None:
    """A portrait model must not pass for a general one."""
    choices = list_model_names(find_model(served))
    assert {name for name, choice in choices.items() if choice == "birefnet"} == names
    assert choices["u2net"] == "builtin"


@pytest.mark.parametrize(
    "name",
    ["isnet-general-use", "birefnet-general-fp16", "bria-rmbg", "withoutbg", "birefnet-portrait", "sam", ""],
)
def test_an_unknown_model_is_told_which_there_are(name: str) -> None:
    """The sentence says what to write instead."""
    with pytest.raises(ModelNotServed) as refused:
        choose_model(name, GENERAL)
    assert all(known in refused.value.detail for known in list_model_names(GENERAL))
    assert refused.value.status == 400


def test_every_name_fits_some_model_of_the_catalogue() -> None:
    """A name that nothing can be served under would be a promise without a way to keep it."""
    served = {name for spec in CATALOG for name in list_model_names(spec)}
    assert {"birefnet-general", "birefnet-general-lite", "birefnet-portrait"} <= served
