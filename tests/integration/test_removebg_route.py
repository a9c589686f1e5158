"""remove.bg's route, as programs written for that service call it."""

import base64
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from PIL import Image

from tests.conftest import SAMPLES
from tests.photos import corner, encoded, opened, wish
from tests.service import OBEYS, Service

CAT = (SAMPLES / "cat.jpg").read_bytes()
WIDTH, HEIGHT = opened(CAT).size


def post(service: Service, **request: Any) -> httpx2.Response:
    """Send a request to remove.bg's route."""
    return service.client.post(f"{service.url}/v1.0/removebg", **request)


def written(body: bytes) -> dict[str, Any]:
    """Return a request with that JSON, whatever it is."""
    return {"content": body, "headers": {"Content-Type": "application/json"}}


def error(answer: httpx2.Response) -> tuple[int, str]:
    """Return the status and code of a refusal, which has the form of remove.bg's."""
    (error,) = answer.json()["errors"]
    assert error["title"]
    assert error["detail"]
    return answer.status_code, error["code"]


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


def test_a_preview_stays_below_a_quarter_megapixel_and_a_crop_is_the_subject(service: Service) -> None:
    """Sizes and crops, in the result itself."""
    photo = encoded(opened(CAT).resize((1800, 1200)), "JPEG")
    preview = opened(post(service, files={"image_file": photo}).content)
    assert preview.size == (500, 333)
    answer = post(service, files={"image_file": photo}, data={"size": "full", "crop": "true"})
    cropped = opened(answer.content)
    assert cropped.size == tuple(int(answer.headers[f"x-foreground-{s}"]) for s in ("width", "height"))


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


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"data": {"size": "auto"}}, (400, "missing_source")),
        ({"data": {"image_url": "http://a.example", "image_file_b64": "aGVs"}}, (400, "multiple_sources")),
        ({"files": {"image_file": b"hello"}}, (400, "invalid_file_type")),
        ({"files": {"image_file": wish("fail")}}, (400, "failed_to_read_image")),
        ({"files": {"image_file": wish()}, "data": {"roi": "0 0 9 9"}}, (400, "invalid_roi")),
        ({"files": {"image_file": wish(), "bg_image_file": b"hello"}}, (400, "invalid_file_type")),
        ({"files": [("image_file", wish()), ("image_file", wish())]}, (400, "invalid_image_file")),
        ({"data": {"image_file_b64": "~~~"}}, (400, "invalid_image_file_b64")),
        ({"data": {"image_url": "ftp://a.example/b.png"}}, (400, "invalid_image_url")),
        ({"data": {"image_url": "http://127.0.0.1:9/b.png"}}, (400, "invalid_image_url")),
        (
            {"files": {"image_file": wish()}, "data": {"bg_image_url": "ftp://a.example"}},
            (400, "invalid_bg_image_url"),
        ),
        (written(b"{"), (400, "invalid_request")),
        ({"json": [1]}, (400, "invalid_request")),
        (written(b"[" * 50_000), (400, "invalid_request")),
        (written(rb'{"\ud800": "x"}'), (400, "invalid_request")),
        (written(rb'{"image_url": "\ud800"}'), (400, "invalid_image_url")),
        (written(rb'{"image_file_b64": "\ud800"}'), (400, "invalid_image_file_b64")),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, (400, "invalid_request")),
        ({"json": {"image_file_b64": 7}}, (400, "invalid_image_file_b64")),
        ({"data": {f"field{number}": "x" for number in range(300)}}, (400, "invalid_request")),
        ({"data": {"image_url": ["http://a.example", "http://b.example"]}}, (400, "invalid_image_url")),
    ],
)
def test_refusals_have_the_form_and_codes_of_remove_bg(
    fake: Service, request_: dict[str, Any], expected: tuple[int, str]
) -> None:
    """Programs switch on the code."""
    assert error(post(fake, **request_)) == expected


@pytest.mark.parametrize(
    "body",
    [b"[" + b"[]," * 2_000_000 + b"[]]", b"{" + b'"a":1,' * 500_000 + b'"a":1}', b'{"a":{"b":' * 300_000],
    ids=["many lists", "many fields", "deep objects"],
)
def test_json_that_is_no_flat_object_is_refused_without_parsing_it(fake: Service, body: bytes) -> None:
    """Only a photo in base64 makes a long one, and that is one text."""
    answer = post(fake, **written(body))
    assert error(answer) == (400, "invalid_request")
    assert "flat object" in answer.text


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
