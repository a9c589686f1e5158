"""What remove.bg's clients ask, as removals of this service."""

import io

import pytest
from fastapi import UploadFile

from shared.options import RemovalOptions
from supervisor.api.compat.removebg_errors import RemovebgRefusal
from supervisor.api.compat.removebg_options import to_removal_options
from supervisor.api.compat.removebg_request import RemovebgRequest, read_request

# What the client `removebg` of PyPI sends where its user asks for nothing.
NOTHING_ASKED = {
    "size": "auto",
    "type": "auto",
    "type_level": "none",
    "format": "auto",
    "roi": "0 0 100% 100%",
    "crop": "false",
    "scale": "original",
    "position": "original",
    "channels": "rgba",
    "add_shadow": "false",
    "semitransparency": "true",
}


def asked(**fields: object) -> RemovalOptions:
    """Return the removal that those fields ask for."""
    sent = {"image_url": "http://example.com/a.png", "size": "full", **fields}
    return to_removal_options(read_request(RemovebgRequest, sent))


def refused(**fields: object) -> RemovebgRefusal:
    """Return the refusal of those fields."""
    with pytest.raises(RemovebgRefusal) as refusal:
        asked(**fields)
    return refusal.value


PLAIN = RemovalOptions(max_area=10_000_000)


@pytest.mark.parametrize("fields", [{}, NOTHING_ASKED, {"bg_color": "", "bg_image_url": None}])
def test_a_client_that_asks_for_nothing_gets_the_plain_cut_out(fields: dict[str, object]) -> None:
    """Clients send every field, most of them with a value that means nothing."""
    assert asked(**fields) == PLAIN


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("size", "gigantic"),
        ("type", "ghost"),
        ("format", "gif"),
        ("channels", "rgb"),
        ("crop", "perhaps"),
        ("roi", "10 10 200"),
        ("roi", "-1 0 9 9"),
        ("scale", "9%"),
        ("scale", "101%"),
        ("position", "left"),
        ("position", "1% 2% 3%"),
        ("position", "101%"),
        ("shadow_type", "round"),
        ("shadow_opacity", "-1"),
        ("crop_margin", "1px 1px 1px"),
        ("crop_margin", "1px 501px"),
        ("crop_margin", "-1px"),
        ("crop_margin", "ten"),
        ("crop_margin", "501px"),
        ("crop_margin", "51%"),
        ("crop_margin", "1.2345px"),
        ("crop_margin", "\N{ARABIC-INDIC DIGIT FIVE}px"),
        ("shadow_opacity", "101"),
        ("image_file", "not a file"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_name(name: str, value: str) -> None:
    """The code says which parameter it was."""
    assert refused(**{"crop": "true", name: value}).removebg_code == f"invalid_{name}"


def test_an_unknown_parameter_is_ignored_and_its_name_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The browser demo sends its key as a field, which is no text for a log."""
    with caplog.at_level("DEBUG", "supervisor.http"):
        assert asked(api_key="s3cret", shadow_method="latest") == PLAIN
    (record,) = caplog.records
    assert vars(record)["names"] == "'api_key', 'shadow_method'"
    assert "s3cret" not in str(vars(record))


def test_an_empty_file_is_no_source() -> None:
    """A browser's form has a part for a file that was not chosen."""
    empty = UploadFile(io.BytesIO(), size=0, filename="")
    sent = {"image_file": empty, "bg_image_file": empty, "image_url": "http://a.example"}
    request = read_request(RemovebgRequest, sent)
    assert (request.find_source(), request.find_background()) == ("image_url", None)


def test_numbers_and_booleans_of_json_are_taken_for_text() -> None:
    """Generated clients send them, after the types of an older OpenAPI document."""
    sent = {
        "type_level": 2,
        "crop": True,
        "crop_margin": 30,
        "semitransparency": False,
        "bg_color": 123,
        "scale": 50,
    }
    options = asked(**sent)
    assert (options.crop, options.margin, options.background, options.scale) == (True, "30", "#123", "50")


def test_there_is_one_source_and_at_most_one_background() -> None:
    """Which of several was meant, nobody can know."""
    for fields, code in (
        ({}, "missing_source"),
        ({"image_url": "http://a.example", "image_file_b64": "aGVsbG8="}, "multiple_sources"),
    ):
        with pytest.raises(RemovebgRefusal) as refusal:
            read_request(RemovebgRequest, fields).find_source()
        assert refusal.value.removebg_code == code
    assert refused(bg_color="red", bg_image_url="http://a.example").removebg_code == "multiple_bg_sources"
    assert refused(bg_color="red", channels="alpha").removebg_code == "invalid_bg_color"
    assert refused(format="zip", channels="alpha").removebg_code == "invalid_format"
