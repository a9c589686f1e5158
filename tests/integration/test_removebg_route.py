"""remove.bg's route, as programs written for that service call it."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from tests.conftest import SAMPLES
from tests.photos import corner, encoded, opened, wish
from tests.removebg_calls import error, post
from tests.service import OBEYS, Service

CAT = (SAMPLES / "cat.jpg").read_bytes()
WIDTH, HEIGHT = opened(CAT).size


def test_a_photo_becomes_a_cut_out_with_its_measures_in_headers(service: Service) -> None:
    """What the documentation's first example does."""
    answer = post(service, files={"image_file": CAT}, data={"size": "auto", "type": "animal"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    cutout = opened(answer.content)
    assert (cutout.mode, cutout.size) == ("RGBA", (WIDTH, HEIGHT))
    headers = answer.headers
    assert (headers["x-width"], headers["x-height"]) == (str(WIDTH), str(HEIGHT))
    assert (headers["x-type"], headers["x-credits-charged"]) == ("animal", "0")
    left, top, width, height = (int(headers[f"x-foreground-{s}"]) for s in ("left", "top", "width", "height"))
    seen = cutout.getchannel("A").point(lambda alpha: 255 * (alpha >= 128)).getbbox()
    assert seen is not None
    assert left <= seen[0] < seen[2] <= left + width <= WIDTH
    assert top <= seen[1] < seen[3] <= top + height <= HEIGHT


def test_json_comes_where_it_is_asked_for(service: Service) -> None:
    """The same image, in base64, with the subject's box."""
    request: dict[str, Any] = {"files": {"image_file": CAT}, "data": {"type_level": "none"}}
    plain = post(service, **request)
    answer = post(service, **request, headers={"Accept": "application/json"})
    data = answer.json()["data"]
    assert base64.b64decode(data["result_b64"]) == plain.content
    for side in ("left", "top", "width", "height"):
        assert data[f"foreground_{side}"] == int(plain.headers[f"x-foreground-{side}"])
    assert "x-type" not in plain.headers


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json", "application/json"),
        ("text/plain, Application/JSON; q=0.9", "application/json"),
        ("application/json, text/plain, */*", "image/png"),
        ("application/json, image/*", "image/png"),
        ("image/png, application/json", "image/png"),
        ("text/html", "image/png"),
        ("", "image/png"),
    ],
)
def test_the_image_comes_where_it_is_accepted(fake: Service, accept: str, kind: str) -> None:
    """Programs written with axios accept anything, name JSON first and save what comes as a PNG."""
    answer = post(fake, files={"image_file": wish()}, headers={"Accept": accept})
    assert answer.headers["content-type"] == kind


def test_empty_parts_count_as_absent(fake: Service) -> None:
    """The browser demo's form has an empty file and its key, the command line's nine empty texts."""
    photo = base64.b64encode(wish()).decode()
    fields = {"image_file_b64": photo, "image_url": "", "roi": "", "api_key": "s3cret"}
    body = {name: (None, value) for name, value in fields.items()}
    assert post(fake, files={**body, "image_file": ("", b"")}).content == wish()
    assert error(post(fake, files={"image_file": ("", b"")})) == (400, "missing_source")


@pytest.mark.parametrize(
    ("type_", "error"), [({}, "other"), ({"type": "auto"}, "other"), ({"type": "car"}, "car")]
)
def test_the_type_is_the_clients_own_word_or_the_most_general(
    fake: Service, type_: dict[str, str], error: str
) -> None:
    """Nothing is detected, and "auto" is no type that a client of remove.bg's knows."""
    assert post(fake, files={"image_file": wish()}, data=type_).headers["x-type"] == error


@pytest.mark.parametrize("kind", ["data", "json", "files"])
@pytest.mark.parametrize("prefix", ["", "data:image/jpeg;base64,"])
def test_base64_is_read_from_every_kind_of_body(fake: Service, kind: str, prefix: str) -> None:
    """As a form of either kind, and as JSON; larger than a form's field usually may be."""
    photo = wish() + b" " * 2_000_000
    text = prefix + base64.b64encode(photo).decode()
    fields: dict[str, Any] = {"image_file_b64": text, "size": "full"}
    body = {name: (None, value) for name, value in fields.items()} if kind == "files" else fields
    answer = post(fake, **{kind: body})
    assert answer.status_code == 200, answer.text
    assert answer.content == photo


@pytest.mark.parametrize(
    ("fields", "kind", "mode"),
    [
        ({"format": "jpg"}, "JPEG", "RGB"),
        ({"bg_color": "00ff00"}, "JPEG", "RGB"),
        ({"bg_color": "00ff00", "format": "png"}, "PNG", "RGB"),
        ({"format": "webp"}, "WEBP", "RGBA"),
        ({"channels": "alpha"}, "PNG", "L"),
    ],
)
def test_formats_colours_and_channels(service: Service, fields: dict[str, str], kind: str, mode: str) -> None:
    """Each is what its name says."""
    answer = post(service, files={"image_file": CAT}, data=fields)
    image = opened(answer.content)
    assert (image.format, image.mode) == (kind, mode)
    assert answer.headers["content-type"] == Image.MIME[kind]
    if "bg_color" in fields:
        assert corner(image) == pytest.approx([0, 255, 0], abs=4)


def test_a_background_comes_from_a_file_or_an_address(start: Callable[..., Service], pictures: str) -> None:
    """Both kinds of image, for both places."""
    service = start(url_allow_private=True)
    blue = encoded(Image.new("RGB", (40, 30), "blue"))
    from_file = post(service, files={"image_file": CAT, "bg_image_file": blue})
    from_url = post(
        service, files={"image_file": CAT}, data={"bg_image_url": f"{pictures}/blue.png", "format": "png"}
    )
    for answer in (from_file, from_url):
        assert answer.status_code == 200, answer.text
        assert corner(opened(answer.content)) == pytest.approx([0, 0, 255], abs=4)
    gone = {"image_url": f"{pictures}/gone.png"}
    assert error(post(service, data=gone)) == (400, "failed_image_download")
    both = {"image_url": f"{pictures}/blue.png", "bg_image_url": f"{pictures}/gone.png"}
    assert error(post(service, data=both)) == (400, "failed_bg_download")


@pytest.mark.parametrize("colour", ["nosuchcolour", "#12345", "rgb(1,2,3)"])
def test_a_colour_that_there_is_not_is_refused_by_name(service: Service, colour: str) -> None:
    """Some names only the worker knows."""
    answer = post(service, files={"image_file": CAT}, data={"bg_color": colour})
    assert error(answer) == (400, "invalid_bg_color")


def test_a_photo_without_a_subject_is_an_unknown_foreground(service: Service) -> None:
    """Clients tell their users to take another photo."""
    answer = post(service, files={"image_file": encoded(Image.new("RGB", (320, 240), "gray"))})
    assert error(answer) == (400, "unknown_foreground")


def test_the_largest_photos_come_in_and_no_larger_ones_whatever_they_are_written_in(
    start: Callable[..., Service],
) -> None:
    """The limit is that of one photo: base64 and an image behind it must not make it smaller or larger."""
    service = start(builtin_worker=OBEYS, max_upload_bytes=3_500_000)
    largest = wish().ljust(3_500_000)
    text = base64.b64encode(largest).decode()
    assert post(service, json={"image_file_b64": text}).content == largest
    assert post(service, files={"image_file": largest, "bg_image_file": largest}).content == largest
    assert post(service, data={"image_file_b64": text}).content == largest
    for too_long in (base64.b64encode(largest + b" ").decode(), "A" * 7_000_000):
        for kind in ("json", "data"):
            answer = post(service, **{kind: {"image_file_b64": too_long}})
            assert error(answer) == (400, "file_too_large")


def test_a_full_queue_and_a_large_file_are_told_in_their_codes(start: Callable[..., Service]) -> None:
    """Before the route is reached, and after."""
    service = start(builtin_worker=OBEYS, max_upload_bytes=1000, queue_limit=1)
    assert error(post(service, files={"image_file": wish() + b" " * 2000})) == (400, "file_too_large")
    assert error(post(service, files={"image_file": b" " * 3_000_000})) == (400, "file_too_large")
    held = service.upload(wish("sleep 20"))
    assert error(post(service, files={"image_file": wish()})) == (429, "rate_limit_exceeded")
    service.client.delete(f"/tasks/{held}")


def test_the_key_is_this_service_s_token(start: Callable[..., Service]) -> None:
    """A wrong key gets remove.bg's answer, not this service's."""
    service = start(token="s3cret", builtin_worker=OBEYS)
    for headers in ({}, {"X-API-Key": "wrong"}):
        answer = post(service, files={"image_file": wish()}, headers=headers)
        assert error(answer) == (403, "auth_failed")
    assert post(service, files={"image_file": wish()}, headers={"X-Api-Key": "s3cret"}).status_code == 200


def test_a_foreign_page_is_refused_in_the_same_form(fake: Service) -> None:
    """The guard answers before the route, in the route's form."""
    answer = post(fake, files={"image_file": wish()}, headers={"Origin": "https://evil.example"})
    assert error(answer) == (403, "origin_refused")
