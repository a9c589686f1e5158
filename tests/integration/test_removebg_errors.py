"""Errors below /v1.0/, whatever raises them: all in the format of remove.bg's API."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from PIL import Image

from tests.photos import encoded
from tests.service import OBEYS, Service


def error(answer: httpx2.Response) -> tuple[int, str]:
    """Return the status and code of an error in remove.bg's format."""
    (error,) = answer.json()["errors"]
    assert error["title"]
    assert error["detail"]
    return answer.status_code, error["code"]


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
    request: dict[str, Any] = {"files": {"image_file": photo}}
    answer = service.client.post(f"{service.url}/v1.0/removebg", **request)
    assert error(answer) == (400, "resolution_too_high")
