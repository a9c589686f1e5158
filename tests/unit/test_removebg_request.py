"""What remove.bg's clients ask, as removals of this service."""

import io

import pytest
from fastapi import UploadFile

from shared.options import RemovalOptions
from supervisor.api.compat.removebg_errors import RemovebgRefusal
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
    return read_request(RemovebgRequest, sent).options()


def refused(**fields: object) -> RemovebgRefusal:
    """Return the refusal of those fields."""
    with pytest.raises(RemovebgRefusal) as refusal:
        asked(**fields)
    return refusal.value


@pytest.mark.parametrize("fields", [{}, NOTHING_ASKED, {"bg_color": "", "bg_image_url": None}])
def test_a_client_that_asks_for_nothing_gets_the_plain_cut_out(fields: dict[str, object]) -> None:
    """Clients send every field, most of them with a value that means nothing."""
    assert asked(**fields) == RemovalOptions()


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({"format": "jpg"}, RemovalOptions(format="jpeg", background="#ffffff")),
        ({"format": "webp"}, RemovalOptions(format="webp")),
        ({"channels": "alpha"}, RemovalOptions(output="mask")),
        ({"channels": "alpha", "format": "jpg"}, RemovalOptions(output="mask", format="jpeg")),
        ({"bg_color": "81d4fa"}, RemovalOptions(format="jpeg", background="#81d4fa")),
        ({"bg_color": "#fff", "format": "png"}, RemovalOptions(background="#fff")),
        ({"bg_color": "green"}, RemovalOptions(format="jpeg", background="green")),
        ({"bg_color": "81d4fa77"}, RemovalOptions(background="#81d4fa77")),
        ({"bg_color": "8f07"}, RemovalOptions(background="#88ff0077")),
        ({"bg_image_url": "http://example.com/b.png"}, RemovalOptions(format="jpeg")),
        ({"crop": "true", "crop_margin": "30px"}, RemovalOptions(crop=True, margin="30px")),
        (
            {"crop": True, "crop_margin": "10% 10% 10% 10%"},
            RemovalOptions(crop=True, margin="10% 10% 10% 10%"),
        ),
        ({"type": "person", "type_level": "2"}, RemovalOptions()),
        ({"roi": "0% 0% 100% 100%", "shadow_type": "none"}, RemovalOptions()),
    ],
)
def test_each_parameter_has_its_equal(fields: dict[str, object], options: RemovalOptions) -> None:
    """A program written for remove.bg gets what it asks for."""
    assert asked(**fields) == options


@pytest.mark.parametrize(
    ("size", "most_pixels"),
    [
        *((name, 250_000) for name in ("preview", "small", "regular")),
        ("medium", 1_500_000),
        ("hd", 4_000_000),
    ],
)
def test_a_size_is_never_exceeded_whatever_the_photo_s_shape(size: str, most_pixels: int) -> None:
    """The longest side bounds the pixels: no shape has more of them than the square."""
    longest = asked(size=size).max_size
    assert longest is not None
    assert longest**2 <= most_pixels < (longest + 1) ** 2


@pytest.mark.parametrize("size", ["full", "4k", "50MP", "auto"])
def test_the_large_sizes_keep_the_photo_s_own(size: str) -> None:
    """Nothing is for sale here."""
    assert asked(size=size).max_size is None


def test_without_a_size_it_is_the_documented_preview() -> None:
    """A program that relies on small files keeps getting them."""
    assert read_request(RemovebgRequest, {"image_url": "http://example.com/a.png"}).options().max_size == 500


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("roi", "10 10 200 200"),
        ("scale", "50%"),
        ("position", "center"),
        ("add_shadow", "true"),
        ("shadow_type", "drop"),
        ("semitransparency", "false"),
        ("format", "zip"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(name: str, value: str) -> None:
    """A parameter that did nothing would be worse than one that fails."""
    refusal = refused(**{name: value})
    assert refusal.removebg_code == f"invalid_{name}"
    assert f"{name} cannot be honoured" in refusal.detail


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("size", "gigantic"),
        ("type", "ghost"),
        ("format", "gif"),
        ("channels", "rgb"),
        ("crop", "perhaps"),
        ("crop_margin", "1px 1px 1px"),
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
    assert refused(**{name: value}).removebg_code == f"invalid_{name}"


def test_a_jpg_takes_no_translucent_colour() -> None:
    """It has no transparency to put it in."""
    assert refused(format="jpg", bg_color="81d4fa77").removebg_code == "invalid_bg_color"


def test_an_unknown_parameter_is_ignored_and_its_name_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The browser demo sends its key as a field, which is no text for a log."""
    with caplog.at_level("DEBUG", "supervisor.http"):
        assert asked(api_key="s3cret", shadow_method="latest") == RemovalOptions()
    (record,) = caplog.records
    assert vars(record)["names"] == "'api_key', 'shadow_method'"
    assert "s3cret" not in str(vars(record))


def test_an_empty_file_is_no_source() -> None:
    """A browser's form has a part for a file that was not chosen."""
    empty = UploadFile(io.BytesIO(), size=0, filename="")
    sent = {"image_file": empty, "bg_image_file": empty, "image_url": "http://a.example"}
    request = read_request(RemovebgRequest, sent)
    assert (request.source(), request.background()) == ("image_url", None)


def test_numbers_and_booleans_of_json_are_taken_for_text() -> None:
    """Generated clients send them, after the types of an older OpenAPI document."""
    sent = {"type_level": 2, "crop": True, "crop_margin": 30, "semitransparency": True, "bg_color": 123}
    options = asked(**sent)
    assert (options.crop, options.margin, options.background) == (True, "30", "#123")


def test_there_is_one_source_and_at_most_one_background() -> None:
    """Which of several was meant, nobody can know."""
    for fields, code in (
        ({}, "missing_source"),
        ({"image_url": "http://a.example", "image_file_b64": "aGVsbG8="}, "multiple_sources"),
    ):
        with pytest.raises(RemovebgRefusal) as refusal:
            read_request(RemovebgRequest, fields).source()
        assert refusal.value.removebg_code == code
    assert refused(bg_color="red", bg_image_url="http://a.example").removebg_code == "multiple_bg_sources"
    assert refused(bg_color="red", channels="alpha").removebg_code == "invalid_bg_color"
