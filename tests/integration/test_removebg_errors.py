"""Errors below /v1.0/, whatever raises them: all in the format of remove.bg's API."""

from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from tests.photos import encoded, wish
from tests.removebg_calls import error, post, written
from tests.service import OBEYS, Service


@pytest.mark.parametrize(
    ("method", "path", "headers", "expected"),
    [
        ("GET", "/v1.0/", {}, (404, "not_found")),
        ("POST", "/v1.0/nothing", {}, (404, "not_found")),
        ("PUT", "/v1.0/removebg", {}, (405, "method_refused")),
        ("POST", "/v1.0/removebg", {"Origin": "https://evil.example"}, (403, "origin_refused")),
        ("GET", "/v1.0/nothing", {"Host": "evil.example"}, (403, "host_refused")),
    ],
)
def test_every_error_below_the_prefix_has_the_format(
    fake: Service, method: str, path: str, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    """A client that reads `errors[0].title` fails at any other."""
    answer = fake.client.request(method, fake.url + path, headers=headers)
    assert error(answer) == expected


def test_a_body_over_the_limit_is_a_bad_request(fake: Service) -> None:
    """Before any route is reached."""
    answer = fake.client.post(f"{fake.url}/v1.0/nothing", content=b" " * 100_000)
    assert error(answer) == (400, "file_too_large")


def test_the_errors_of_this_service_s_own_routes_keep_their_format(fake: Service) -> None:
    """Their clients read `detail` and `code`."""
    assert fake.client.get(f"{fake.url}/v1.0").json()["code"] == "not_found"
    assert fake.client.get("/nothing").json()["code"] == "not_found"


def test_a_wrong_key_is_refused_on_every_path(start: Callable[..., Service]) -> None:
    """With the title that was recorded from the API."""
    service = start(token="s3cret", builtin_worker=OBEYS)
    for path in ("removebg", "nothing"):
        answer = service.client.post(f"{service.url}/v1.0/{path}", headers={"X-API-Key": "wrong"})
        assert error(answer) == (403, "auth_failed")
        assert answer.json()["errors"][0]["title"] == "API Key invalid"


def test_a_photo_of_too_many_pixels_is_a_bad_request(start: Callable[..., Service]) -> None:
    """Clients know the code, and treat 413 as an error of their proxy."""
    service = start(max_pixels=10_000)
    photo = encoded(Image.new("RGB", (200, 100)))
    assert error(post(service, files={"image_file": photo})) == (400, "resolution_too_high")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"data": {"size": "auto"}}, (400, "missing_source")),
        ({"data": {"image_url": "http://a.example", "image_file_b64": "aGVs"}}, (400, "multiple_sources")),
        ({"files": {"image_file": b"hello"}}, (400, "invalid_file_type")),
        ({"files": {"image_file": wish("fail")}}, (400, "failed_to_read_image")),
        ({"files": {"image_file": wish()}, "data": {"roi": "0 0 9"}}, (400, "invalid_roi")),
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
        (written(rb'{"\ud800": "x"}'), (400, "missing_source")),
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
