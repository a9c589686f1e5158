"""The rest of remove.bg's API: account, feedback, rate limit."""

import base64
import uuid
from collections.abc import Callable

import httpx2
import pytest

from tests.photos import wish
from tests.removebg_calls import error, post
from tests.service import OBEYS, Service


def test_the_account_has_exactly_the_recorded_keys(fake: Service) -> None:
    """A missing or a further one fails in the Ruby client."""
    answer = fake.client.get(f"{fake.url}/v1.0/account")
    attributes = answer.json()["data"]["attributes"]
    assert answer.json() == {"data": {"attributes": attributes}}
    assert set(attributes) == {"credits", "api"}
    assert set(attributes["credits"]) == {"subscription", "payg", "enterprise", "total"}
    assert set(attributes["api"]) == {"free_calls", "sizes"}
    assert attributes["credits"]["total"] > 0, "programs do not start without credits"
    assert answer.headers["x-ratelimit-limit"] == "500"


def test_the_account_tells_whether_the_key_is_valid(start: Callable[..., Service]) -> None:
    """What programs ask it for."""
    service = start(token="s3cret", builtin_worker=OBEYS)
    for key, status in (("wrong", 403), ("s3cret", 200)):
        answer = service.client.get(f"{service.url}/v1.0/account", headers={"X-API-Key": key})
        assert answer.status_code == status


@pytest.mark.parametrize("kind", ["files", "data", "json"])
def test_feedback_is_accepted_and_deleted(fake: Service, kind: str) -> None:
    """A photo in any kind of body, as large as for a removal."""
    photo = wish() + b" " * 200_000
    text = base64.b64encode(photo).decode()
    body = {"image_file": photo} if kind == "files" else {"image_file_b64": text, "tag": "cats"}
    answer = fake.client.post(f"{fake.url}/v1.0/improve", **{kind: body})  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == ["id"]
    uuid.UUID(answer.json()["id"])
    assert not list(fake.temp_dir.glob("*/incoming/*"))


def test_feedback_without_a_photo_is_refused(fake: Service) -> None:
    """As a removal is."""
    answer = fake.client.post(f"{fake.url}/v1.0/improve", json={"tag": "cats"})
    assert error(answer) == (400, "missing_source")


def rate(answer: httpx2.Response) -> list[int]:
    """Return the limit and what remains."""
    return [int(answer.headers[f"x-ratelimit-{name}"]) for name in ("limit", "remaining")]


def test_the_rate_limit_counts_photos_in_megapixels(start: Callable[..., Service]) -> None:
    """Of each client; a failed removal does not count."""
    service = start(rate_limit_mp_per_min=2, builtin_worker=OBEYS)
    photo = {"image_file": wish()}
    assert error(post(service, files={"image_file": wish("fail")}))[0] == 400
    assert [rate(post(service, files=photo)) for _ in range(2)] == [[2, 1], [2, 0]]
    refused = post(service, files=photo)
    assert error(refused) == (429, "rate_limit_exceeded")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert rate(refused) == [2, 0]
    assert rate(post(service, files=photo, headers={"X-Client-Id": "other"})) == [2, 1]


def test_without_a_rate_limit_what_remains_is_told(fake: Service) -> None:
    """Of the documented limit, so that clients go on as they did."""
    client = {"X-Client-Id": uuid.uuid4().hex}
    assert rate(post(fake, files={"image_file": wish()}, headers=client)) == [500, 499]
