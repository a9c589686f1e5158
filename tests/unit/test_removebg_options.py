"""Parameters of remove.bg's API as removal options."""

import pytest

from shared.options import RemovalOptions
from supervisor.api.compat.removebg_options import to_removal_options
from supervisor.api.compat.removebg_request import RemovebgRequest, read_request

MAX = {"max_area": 25_000_000}
PNG = {"max_area": 10_000_000}


def asked(**fields: object) -> RemovalOptions:
    """Return the removal that those fields ask for."""
    sent = {"image_url": "http://example.com/a.png", "size": "full", **fields}
    return to_removal_options(read_request(RemovebgRequest, sent))


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({"format": "jpg"}, {"format": "jpeg", **MAX}),
        ({"format": "jpg", "bg_color": "81d4fa77"}, {"format": "jpeg", "background": "#81d4fa77", **MAX}),
        ({"format": "webp"}, {"format": "webp", **MAX}),
        ({"format": "zip"}, {"output": "layers", "quality": 90, **MAX}),
        ({"channels": "alpha"}, {"output": "mask", **PNG}),
        ({"channels": "alpha", "format": "jpg"}, {"output": "mask", "format": "jpeg", **MAX}),
        ({"bg_color": "81d4fa"}, {"format": "jpeg", "background": "#81d4fa", **MAX}),
        ({"bg_color": "#fff", "format": "png"}, {"background": "#fff", **PNG}),
        ({"bg_color": "green"}, {"format": "jpeg", "background": "green", **MAX}),
        ({"bg_color": "81d4fa77"}, {"background": "#81d4fa77", **PNG}),
        ({"bg_color": "8f07"}, {"background": "#88ff0077", **PNG}),
        ({"bg_image_url": "http://example.com/b.png"}, {"format": "jpeg", **MAX}),
        ({"roi": "0% 0px 100%  100%"}, PNG),
        ({"roi": "10 10% 200px 100%"}, {"roi": "10 10% 200px 100%", **PNG}),
        ({"crop": "true", "crop_margin": "30px"}, {"crop": True, "margin": "30px", **PNG}),
        ({"crop": True, "crop_margin": "1px 2% 3 4%"}, {"crop": True, "margin": "1px 2% 3 4%", **PNG}),
        ({"crop_margin": "30px"}, PNG),
        ({"scale": "50%"}, {"scale": "50%", **PNG}),
        ({"scale": "50%", "position": "original"}, {"scale": "50%", **PNG}),
        ({"position": "center"}, {"position": "center", **PNG}),
        ({"scale": "80%", "position": "0% 100%"}, {"scale": "80%", "position": "0% 100%", **PNG}),
        ({"semitransparency": "false"}, PNG),
        ({"type": "person", "type_level": "2"}, PNG),
    ],
)
def test_each_parameter_has_its_equal(fields: dict[str, object], options: dict[str, object]) -> None:
    """A program written for remove.bg gets what it asks for."""
    assert asked(**fields) == RemovalOptions(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "shadow", "opacity"),
    [
        ({"shadow_type": "none"}, "none", 50),
        ({"shadow_type": "drop", "shadow_opacity": "0"}, "drop", 0),
        ({"shadow_type": "auto", "shadow_opacity": 80}, "ground", 80),
        ({"shadow_type": "car"}, "ground", 50),
        ({"shadow_type": "3D"}, "ground", 50),
        ({"add_shadow": "true"}, "ground", 50),
        ({"add_shadow": "true", "shadow_type": "none"}, "none", 50),
        ({"add_shadow": "false", "shadow_type": "drop"}, "drop", 50),
    ],
)
def test_shadows(fields: dict[str, object], shadow: str, opacity: int) -> None:
    """The type counts; without it the older parameter, whatever the photo shows."""
    options = asked(**fields)
    assert (options.shadow, options.shadow_opacity) == (shadow, opacity)


@pytest.mark.parametrize(
    ("size", "most_pixels"),
    [
        *((name, 250_000) for name in ("preview", "small", "regular", "")),
        ("medium", 1_500_000),
        ("hd", 4_000_000),
        *((name, 25_000_000) for name in ("full", "4k", "auto")),
        ("50MP", 50_000_000),
    ],
)
def test_a_size_bounds_the_pixels_and_a_png_has_ten_million(size: str, most_pixels: int) -> None:
    """As documented: an area, whatever the photo's shape; a preview by default."""
    assert asked(size=size, format="jpg").max_area == most_pixels
    assert asked(size=size, format="zip").max_area == most_pixels
    assert asked(size=size, format="png").max_area == min(most_pixels, 10_000_000)
