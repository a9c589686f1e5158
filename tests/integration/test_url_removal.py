"""Removals by URL: fetched by the supervisor, followed like any other."""

from collections.abc import Callable
from typing import Any

from tests.integration.conftest import FILES
from tests.service import OBEYS, Service


def removed(service: Service, url: str) -> dict[str, Any]:
    """Have the photo at an address cut out, and return the task at its end."""
    return service.finished(service.client.post("/remove/url", json={"url": url}).json()["task_id"])


def test_a_photo_on_the_web_is_cut_out_under_its_own_name(
    start: Callable[..., Service], pictures: str
) -> None:
    """The user pastes an address and gets a file."""
    service = start(builtin_worker=OBEYS, url_allow_private=True)
    task = removed(service, f"{pictures}/holiday.png")
    assert task["status"] == "complete"
    result = service.client.get(f"/remove/result/{task['task_id']}").json()
    answer = service.client.get(result["result_url"].removeprefix("/api/v1"))
    assert "holiday-cutout.png" in answer.headers["content-disposition"]

    task = removed(service, f"{pictures}/gone.png")
    assert task["code"] == "url_failed"
    assert "404" in task["message"]


def test_the_limits_and_counts_of_uploads_hold_for_addresses_too(
    start: Callable[..., Service], pictures: str
) -> None:
    """Who may not upload a large file must not be able to have it fetched, unseen by the operator."""
    service = start(builtin_worker=OBEYS, url_allow_private=True, max_upload_bytes=20)
    assert removed(service, f"{pictures}/holiday.png")["status"] == "complete"
    assert removed(service, f"{pictures}/blue.png")["code"] == "upload_too_large"
    sample = f'bgremove_received_bytes_total{{source="url"}} {len(FILES["/holiday.png"]):.1f}\n'
    assert sample in service.client.get("/metrics").text
