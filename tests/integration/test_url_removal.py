"""Removals by URL: fetched by the supervisor, followed like any other."""

from collections.abc import Callable

from tests.service import OBEYS, Service


def test_a_photo_on_the_web_is_cut_out_under_its_own_name(
    start: Callable[..., Service], pictures: str
) -> None:
    """The user pastes an address and gets a file."""
    service = start(builtin_worker=OBEYS, url_allow_private=True)
    task_id = service.client.post("/remove/url", json={"url": f"{pictures}/holiday.png"}).json()["task_id"]
    assert service.finished(task_id)["status"] == "complete"
    result = service.client.get(f"/remove/result/{task_id}").json()
    answer = service.client.get(result["result_url"].removeprefix("/api/v1"))
    assert "holiday-cutout.png" in answer.headers["content-disposition"]

    task_id = service.client.post("/remove/url", json={"url": f"{pictures}/gone.png"}).json()["task_id"]
    task = service.finished(task_id)
    assert task["code"] == "url_failed"
    assert "404" in task["message"]
