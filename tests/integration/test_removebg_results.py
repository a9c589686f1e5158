"""Sizes, regions, layouts and zips of remove.bg's route, in the results of the real model."""

import base64
import io
import zipfile
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import SAMPLES
from tests.photos import encoded, opened
from tests.removebg_calls import error, post
from tests.service import Service

CAT = (SAMPLES / "cat.jpg").read_bytes()
WIDTH, HEIGHT = opened(CAT).size


@pytest.fixture(scope="module")
def large() -> bytes:
    """A photo of 3000 x 2000 pixels."""
    return encoded(opened(CAT).resize((3000, 2000)), "JPEG")


def alpha_of(image: Image.Image) -> Any:
    """Return an image's alpha as an array."""
    return np.asarray(image.getchannel("A"))


@pytest.mark.parametrize(
    ("fields", "size"),
    [({}, (612, 408)), ({"size": "medium"}, (1500, 1000)), ({"size": "full", "format": "jpg"}, (3000, 2000))],
)
def test_a_size_bounds_the_area(
    service: Service, large: bytes, fields: dict[str, str], size: tuple[int, int]
) -> None:
    """0.25 megapixels, whatever the photo's shape; headers have the full size."""
    answer = post(service, files={"image_file": large}, data=fields)
    assert opened(answer.content).size == size
    headers = answer.headers
    assert (headers["x-width"], headers["x-height"]) == tuple(map(str, size))
    assert (headers["x-max-width"], headers["x-max-height"]) == ("3000", "2000")


def test_a_zip_holds_colours_and_alpha_as_the_command_lines_join_them(service: Service) -> None:
    """Their default: two stored files, in this order, which make the PNG together."""
    answer = post(service, files={"image_file": CAT}, data={"format": "zip"})
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        entries = archive.infolist()
        colour, alpha = (opened(archive.read(entry)) for entry in entries)
    assert [entry.filename for entry in entries] == ["color.jpg", "alpha.png"]
    assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}
    assert (colour.format, colour.mode, alpha.format, alpha.mode) == ("JPEG", "RGB", "PNG", "L")
    cutout = opened(post(service, files={"image_file": CAT}, data={"format": "png"}).content)
    assert np.array_equal(np.asarray(alpha), alpha_of(cutout))
    opaque = alpha_of(cutout) == 255
    difference = np.abs(np.asarray(colour).astype(int) - np.asarray(cutout.convert("RGB")))[opaque]
    assert difference.mean() < 6
    clear = alpha_of(cutout) == 0
    photo = np.asarray(opened(CAT).convert("RGB")).astype(int)
    assert np.abs(np.asarray(colour).astype(int) - photo)[clear].mean() < 6, "the photo, not black"


def test_a_zip_may_come_in_json(service: Service) -> None:
    """As any other result."""
    answer = post(
        service,
        files={"image_file": CAT},
        data={"format": "zip"},
        headers={"Accept": "application/json"},
    )
    data = base64.b64decode(answer.json()["data"]["result_b64"])
    assert zipfile.ZipFile(io.BytesIO(data)).testzip() is None


def test_only_the_region_of_interest_can_be_subject(service: Service) -> None:
    """The result keeps the photo's size; a region beyond the photo has a code of its own."""
    data = {"size": "full", "roi": "0% 0% 50% 100%"}
    cutout = opened(post(service, files={"image_file": CAT}, data=data).content)
    assert cutout.size == (WIDTH, HEIGHT)
    alpha = alpha_of(cutout)
    assert alpha[:, : WIDTH // 2].max() > 127
    assert alpha[:, (WIDTH + 1) // 2 :].max() == 0
    for roi, code in (("0 0 9999 10", "roi_exceeds_bounds"), ("50% 0 10% 100%", "roi_region_empty")):
        answer = post(service, files={"image_file": CAT}, data={"roi": roi})
        assert error(answer) == (400, code)


def test_a_crop_and_its_margins(service: Service) -> None:
    """The subject's box, with each side's own margin, also beyond the photo's edge."""
    tight = post(service, files={"image_file": CAT}, data={"size": "full", "crop": "true"})
    box = [int(tight.headers[f"x-foreground-{side}"]) for side in ("width", "height")]
    assert list(opened(tight.content).size) == box
    data = {"size": "full", "crop": "true", "crop_margin": "10px 20px 30px 40px"}
    wide = post(service, files={"image_file": CAT}, data=data)
    cutout = opened(wide.content)
    assert cutout.size == (box[0] + 60, box[1] + 40)
    assert (wide.headers["x-max-width"], wide.headers["x-max-height"]) == tuple(map(str, cutout.size))
    assert np.array_equal(alpha_of(cutout)[10:-30, 40:-20], alpha_of(opened(tight.content)))


def test_scale_and_position_place_the_subject(service: Service) -> None:
    """The canvas stays the photo's; 100 % is flush right and at the bottom."""
    data = {"size": "full", "scale": "50%", "position": "100%"}
    cutout = opened(post(service, files={"image_file": CAT}, data=data).content)
    assert cutout.size == (WIDTH, HEIGHT)
    visible = cutout.getchannel("A").point(lambda alpha: 255 * (alpha >= 13)).getbbox()
    assert visible is not None
    left, top, right, bottom = visible
    assert max((right - left) / WIDTH, (bottom - top) / HEIGHT) == pytest.approx(0.5, abs=0.03)
    assert (right, bottom) == pytest.approx((WIDTH, HEIGHT), abs=3)


def test_a_shadow_is_part_of_the_alpha(service: Service) -> None:
    """Black below the subject, and none with opacity 0."""
    request: dict[str, Any] = {"files": {"image_file": CAT}}
    plain = alpha_of(opened(post(service, **request).content)).astype(int)
    drop = {"shadow_type": "drop", "shadow_opacity": "90"}
    shadow = alpha_of(opened(post(service, **request, data=drop).content)).astype(int)
    assert shadow.sum() > plain.sum()
    none = alpha_of(opened(post(service, **request, data={**drop, "shadow_opacity": "0"}).content))
    assert np.array_equal(none, plain)
