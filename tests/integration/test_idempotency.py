"""Idempotency keys: a request that is repeated gets the task of the first one."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.photos import wish
from tests.service import OBEYS, Service, wait_for


def upload(service: Service, key: str, photo: bytes = wish(), **options: Any) -> httpx2.Response:
    """Upload a photo with a key."""
    headers = {"Idempotency-Key": key, **options.pop("headers", {})}
    files = {"file": ("photo.png", photo)}
    return service.client.post("/remove/upload", files=files, data=options, headers=headers)


def count_tasks(service: Service) -> int:
    """Return how many tasks there are."""
    return len(service.client.get("/tasks").json())


def test_a_repeated_upload_gets_the_same_task(fake: Service) -> None:
    """The first answer was lost with the connection: the photo must not be worked on twice."""
    first, second = upload(fake, "a-1").json(), upload(fake, "a-1").json()
    assert first["task_id"] == second["task_id"]
    fake.finished(first["task_id"])
    assert upload(fake, "a-1").json() == first, "also after its end"
    assert upload(fake, "a-2").json() != first


def test_uploads_at_the_same_time_get_one_task(fake: Service) -> None:
    """A client that lost patience sends again while the first upload is still being stored."""
    before = count_tasks(fake)
    with ThreadPoolExecutor(8) as pool:
        answers = [each.result().json() for each in [pool.submit(upload, fake, "same") for _ in range(8)]]
    assert len({answer["task_id"] for answer in answers}) == 1
    assert count_tasks(fake) == before + 1


@pytest.mark.parametrize("changed", [{"format": "webp"}, {"photo": wish("another")}])
def test_a_key_is_for_one_request(fake: Service, changed: dict[str, Any]) -> None:
    """The client has a mistake, which it would not notice by another one's result."""
    key = f"key-{sorted(changed)}"
    upload(fake, key)
    answer = upload(fake, key, **changed)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


def test_a_refused_request_leaves_its_key_free(fake: Service) -> None:
    """The next one with it may be right."""
    assert upload(fake, "free", b"no image").status_code == 415
    assert upload(fake, "free", quality="0").status_code == 422
    assert upload(fake, "free").status_code == 200


def test_keys_are_each_client_s_own(fake: Service) -> None:
    """Clients that count would get each other's photos."""
    ids = {upload(fake, "1", headers={"X-Client-Id": name}).json()["task_id"] for name in ("ann", "ben")}
    assert len(ids) == 2


@pytest.mark.parametrize("key", ["x" * 256, "with space", "caf\u00e9"])
def test_other_keys_are_refused(fake: Service, key: str) -> None:
    """Visible ASCII, up to 255 characters."""
    answer = fake.client.post(
        "/remove/url", json={"url": "http://example.com/a.png"}, headers=[(b"Idempotency-Key", key.encode())]
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_a_url_has_keys_too(fake: Service) -> None:
    """Both routes accept work."""
    ids = {
        fake.client.post(
            "/remove/url", json={"url": "http://192.0.2.1/a.png"}, headers={"Idempotency-Key": "url"}
        ).json()["task_id"]
        for _ in range(2)
    }
    assert len(ids) == 1


def test_a_key_outlives_a_restart_and_expires_with_its_task(
    start: Callable[..., Service], tmp_path: Path
) -> None:
    """The answer may be lost because the service ended."""
    settings = {"builtin_worker": OBEYS, "spool_dir": tmp_path / "spool"}
    service = start(**settings)
    first = upload(service, "kept").json()
    service.finished(first["task_id"])
    service.end()
    again = start(**settings, retention_s=2, cleanup_interval_s=0.1)
    assert upload(again, "kept").json() == first
    assert upload(again, "kept", format="webp").status_code == 422
    wait_for(lambda: upload(again, "kept").json() != first)
