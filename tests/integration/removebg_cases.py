"""Requests to remove.bg's API with each of its options, and checks of what a user sees in the results.

The photo is black with a white square, which the fake worker by_light takes for the subject.
"""

import io
import zipfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from PIL import Image

from tests.photos import encoded, opened

Size = tuple[int, int]
Box = tuple[int, int, int, int]

FULL: Size = (900, 600)
SQUARE: Box = (100, 100, 400, 400)
PREVIEW: Size = (612, 408)  # 0.25 megapixels of 3:2
PREVIEW_BOX: Box = (68, 68, 272, 272)
SLACK_PX = 3  # soft edges, and JPEG
OPAQUE = 250
WHITE, BLUE, TEAL = (255, 255, 255), (0, 0, 255), (0, 128, 128)
EMPTY_FIELDS = (
    "bg_color",
    "bg_image_url",
    "roi",
    "crop_margin",
    "scale",
    "position",
    "channels",
    "shadow_type",
)


def photo() -> bytes:
    """Return the photo, as JPEG."""
    image = Image.new("RGB", FULL)
    image.paste(WHITE, SQUARE)
    return encoded(image, "JPEG", quality=95)


@dataclass(frozen=True)
class Case:
    """The options of a request, and a check of the image that answers it."""

    options: dict[str, str]
    check: Callable[[bytes], None]


def cutout(size: Size, box: Box, kind: str = "PNG") -> Callable[[bytes], None]:
    """Return a check for a result of `size` that is transparent except for the white subject in `box`."""

    def check(content: bytes) -> None:
        image = opened(content)
        assert (image.format, image.mode) == (kind, "RGBA")
        check_alpha(image.getchannel("A"), size, box)
        assert pixel(image, middle(box))[:3] == pytest.approx(WHITE, abs=4)

    return check


def composite(size: Size, colour: Sequence[int]) -> Callable[[bytes], None]:
    """Return a check for an opaque JPEG of `size` with `colour` in its lower right corner."""

    def check(content: bytes) -> None:
        image = opened(content)
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", size)
        assert pixel(image, (size[0] - 9, size[1] - 9)) == pytest.approx(colour, abs=6)
        assert pixel(image, middle(PREVIEW_BOX)) == pytest.approx(WHITE, abs=6)

    return check


def mask(content: bytes) -> None:
    """Check the alpha matte alone."""
    image = opened(content)
    assert (image.format, image.mode) == ("PNG", "L")
    check_alpha(image, PREVIEW, PREVIEW_BOX)


def translucent(content: bytes) -> None:
    """Check a result on a colour of alpha 0x77."""
    image = opened(content)
    assert image.size == PREVIEW
    assert pixel(image, (600, 400)) == pytest.approx((*TEAL, 0x77), abs=2)


def shadow(content: bytes) -> None:
    """Check a result with a shadow: dark, soft and at the subject's side."""
    image = opened(content)
    assert (image.mode, image.size) == ("RGBA", FULL)
    dark = [
        pixel(image, (x, y))
        for x in range(SQUARE[0] - 60, SQUARE[2] + 60, 6)
        for y in range(SQUARE[1], SQUARE[3] + 60, 6)
        if not (SQUARE[0] - 6 < x < SQUARE[2] + 6 and y < SQUARE[3] + 6)
    ]
    assert any(alpha > 20 and red < 60 for red, _, _, alpha in dark)


def layers(content: bytes) -> None:
    """Check a zip of color.jpg and alpha.png."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["color.jpg", "alpha.png"]
        colour, alpha = (opened(archive.read(name)) for name in archive.namelist())
    assert (colour.format, colour.mode, colour.size) == ("JPEG", "RGB", PREVIEW)
    assert (alpha.format, alpha.mode) == ("PNG", "L")
    check_alpha(alpha, PREVIEW, PREVIEW_BOX)


def check_alpha(alpha: Image.Image, size: Size, box: Box) -> None:
    """Check an alpha channel: its size, the subject's box, and what is within and outside."""
    assert alpha.size == pytest.approx(size, abs=1)
    solid = alpha.point([255 * (value > 127) for value in range(256)])
    assert solid.getbbox() == pytest.approx(box, abs=SLACK_PX)
    assert pixel(alpha, middle(box)) > OPAQUE


def pixel(image: Image.Image, point: tuple[int, int]) -> Any:
    """Return a pixel's value, a tuple if the image has several channels."""
    return image.getpixel(point)


def middle(box: Box) -> tuple[int, int]:
    """Return the point in the middle of a box."""
    return (box[0] + box[2]) // 2, (box[1] + box[3]) // 2


def cases(fields: Collection[str], background_url: str) -> dict[str, Case]:
    """Return the cases, by name, whose options are among `fields`."""
    every = {
        "default": Case({}, cutout(PREVIEW, PREVIEW_BOX)),
        **{
            f"size {size}": Case({"size": size}, cutout(PREVIEW, PREVIEW_BOX))
            for size in ("small", "regular")
        },
        **{
            f"size {size}": Case({"size": size}, cutout(FULL, SQUARE))
            for size in ("medium", "hd", "full", "4k", "50MP", "auto")
        },
        **{
            f"type {kind}": Case({"type": kind}, cutout(PREVIEW, PREVIEW_BOX))
            for kind in ("person", "product", "car", "animal", "graphic", "transportation", "other")
        },
        **{
            f"type_level {level}": Case({"type_level": level}, cutout(PREVIEW, PREVIEW_BOX))
            for level in ("none", "1", "2", "latest")
        },
        "format auto": Case({"format": "auto"}, cutout(PREVIEW, PREVIEW_BOX)),
        "format png": Case({"format": "png"}, cutout(PREVIEW, PREVIEW_BOX)),
        "format webp": Case({"format": "webp"}, cutout(PREVIEW, PREVIEW_BOX, "WEBP")),
        "format jpg": Case({"format": "jpg"}, composite(PREVIEW, WHITE)),
        "format zip": Case({"format": "zip"}, layers),
        "roi px": Case({"size": "full", "roi": "0px 0px 250px 100%"}, cutout(FULL, (100, 100, 250, 400))),
        "roi percent": Case({"size": "full", "roi": "0% 50% 100% 100%"}, cutout(FULL, (100, 300, 400, 400))),
        "crop": Case({"size": "full", "crop": "true"}, cutout((300, 300), (0, 0, 300, 300))),
        "crop_margin": Case(
            {"size": "full", "crop": "true", "crop_margin": "10px 20px"},
            cutout((340, 320), (20, 10, 320, 310)),
        ),
        "crop_margin on four sides": Case(
            {"size": "full", "crop": "true", "crop_margin": "0px 30px 10% 5px"},
            cutout((335, 330), (5, 0, 305, 300)),
        ),
        "scale": Case({"size": "full", "scale": "80%"}, cutout(FULL, (210, 60, 690, 540))),
        "position": Case({"size": "full", "position": "100% 0%"}, cutout(FULL, (600, 0, 900, 300))),
        "position center": Case({"size": "full", "position": "center"}, cutout(FULL, (300, 150, 600, 450))),
        "scale and position": Case(
            {"size": "full", "scale": "20%", "position": "0%"}, cutout(FULL, (0, 0, 120, 120))
        ),
        "channels": Case({"channels": "alpha"}, mask),
        "add_shadow false": Case({"add_shadow": "false"}, cutout(PREVIEW, PREVIEW_BOX)),
        "add_shadow": Case({"size": "full", "add_shadow": "true"}, shadow),
        **{
            f"shadow_type {kind}": Case({"size": "full", "shadow_type": kind}, shadow)
            for kind in ("auto", "car", "3D", "drop")
        },
        "shadow_type none": Case({"shadow_type": "none"}, cutout(PREVIEW, PREVIEW_BOX)),
        "shadow_opacity": Case({"size": "full", "shadow_type": "drop", "shadow_opacity": "80"}, shadow),
        "semitransparency": Case({"semitransparency": "false"}, cutout(PREVIEW, PREVIEW_BOX)),
        "bg_color": Case({"bg_color": "008080"}, composite(PREVIEW, TEAL)),
        "bg_color by name": Case({"bg_color": "teal"}, composite(PREVIEW, TEAL)),
        "bg_color with alpha": Case({"bg_color": "00808077"}, translucent),
        "bg_image_url": Case({"bg_image_url": background_url}, composite(PREVIEW, BLUE)),
        "bg_image_file": Case({"bg_image_file": "FILE"}, composite(PREVIEW, BLUE)),
        "unknown field": Case({"shadow_method": "latest"}, cutout(PREVIEW, PREVIEW_BOX)),
        "empty fields": Case(dict.fromkeys(EMPTY_FIELDS, ""), cutout(PREVIEW, PREVIEW_BOX)),
    }
    return {name: case for name, case in every.items() if case.options.keys() <= set(fields)}
