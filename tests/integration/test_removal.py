"""The main job through HTTP: upload, follow, fetch."""

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from tests.photos import encoded, wish
from tests.service import OBEYS, Service, stream_events, wait_for


def test_a_photo_comes_back_under_the_name_it_was_sent_with(fake: Service) -> None:
    """The download must be recognisable in the user's folder."""
    task_id = fake.upload(wish(), "my holiday.jpg")
    assert re.fullmatch(r"bgremove_[0-9a-f]{32}", task_id)
    assert fake.finished(task_id)["status"] == "complete"
    result = fake.client.get(f"/remove/result/{task_id}").json()
    assert re.fullmatch(r"[0-9a-f]{32}", result["result_file_id"])
    assert result["model_id"] == "fake"
    assert set(result["timings_ms"]) >= {"queued", "decode", "inference", "encode", "total"}
    answer = fake.client.get(result["result_url"].removeprefix("/api/v1"))
    assert answer.headers["content-type"] == "image/png"
    header = answer.headers["content-disposition"]
    assert header.startswith('attachment; filename="my holiday-cutout.png"; ')
    assert header.endswith("; filename*=UTF-8''my%20holiday-cutout.png")
    original = fake.client.get(result["original_url"].removeprefix("/api/v1"))
    assert (original.content, original.headers["content-type"]) == (wish(), "image/png")
    for each in (answer, original):  # nobody else is to keep it, or to take it for something else
        assert each.headers["cache-control"] == "private, no-store"
        assert each.headers["x-content-type-options"] == "nosniff"


def test_a_result_says_how_long_it_lasts(fake: Service) -> None:
    """Clients that come back for it later would take the moment it was made for its end."""
    task_id = fake.upload(wish())
    fake.finished(task_id)
    left_s = fake.client.get(f"/remove/result/{task_id}").json()["expires_at"] - time.time()
    assert 3000 < left_s <= 3600


def test_progress_streams_from_the_present_state_to_the_end(fake: Service) -> None:
    """The page's progress bar must start where the task is, never fall, and stop by itself."""
    events = stream_events(fake, fake.upload(wish("sleep 1")))
    percents = [event["percent"] for event in events]
    assert percents == sorted(percents)
    assert {event["status"] for event in events[:-1]} <= {"queued", "running"}
    assert events[-1]["status"] == "complete"
    assert events[-1]["percent"] == 100
    assert "Sleeping" in events[-1]["logs"]


def test_events_are_plain_server_sent_events(fake: Service) -> None:
    """A browser's EventSource reads `data:` messages, and reconnects after `retry`."""
    task_id = fake.upload(wish())
    fake.finished(task_id)
    answer = fake.client.get(f"/remove/stream/{task_id}")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"
    lines = answer.text.splitlines()
    assert [line.split(":")[0] for line in lines if line] == ["data", "id", "retry"]
    assert "retry: 1000" in lines


def test_events_come_at_most_every_300_ms(fake: Service) -> None:
    """A worker that reports in a frenzy must not flood the page."""
    start = time.monotonic()
    events = stream_events(fake, fake.upload(wish("flood 1.2")))
    elapsed_s = time.monotonic() - start
    assert len(events) <= elapsed_s / 0.3 + 2
    assert len(events) >= 4, "nor may it hear nothing until the end"
    assert len({event["message"] for event in events}) >= 4


def test_a_follower_that_leaves_does_not_cancel_the_work(fake: Service) -> None:
    """Closing the page must not lose the photo."""
    task_id = fake.upload(wish("sleep 1"))
    with fake.client.stream("GET", f"/remove/stream/{task_id}") as response:
        next(response.iter_lines())
    assert fake.finished(task_id)["status"] == "complete"


def test_a_result_is_asked_for_too_early_or_of_a_failed_task(fake: Service) -> None:
    """The client must be able to tell "wait" from "broken", and why."""
    early = fake.upload(wish("sleep 1"))
    answer = fake.client.get(f"/remove/result/{early}")
    assert (answer.status_code, answer.json()["code"]) == (409, "still_running")
    failed = fake.upload(wish("fail"))
    assert fake.finished(failed)["code"] == "damaged_image"
    answer = fake.client.get(f"/remove/result/{failed}")
    assert (answer.status_code, answer.json()["code"]) == (422, "damaged_image")
    assert "damaged" in answer.json()["detail"]


def test_a_photo_may_have_as_many_pixels_as_are_set_and_no_more(start: Callable[..., Service]) -> None:
    """It would take all the memory that there is; and the largest that is welcome must come through."""
    service = start(builtin_worker="tests.fake_workers.by_light:serve", max_pixels=100)
    service.cut(encoded(Image.new("RGB", (10, 10))))
    task_id = service.upload(encoded(Image.new("RGB", (10, 11))))
    assert service.finished(task_id)["code"] == "too_many_pixels"
    answer = service.client.get(f"/remove/result/{task_id}")
    assert (answer.status_code, answer.json()["code"]) == (413, "too_many_pixels")


def test_tasks_are_listed_newest_first(fake: Service) -> None:
    """A page that was reloaded finds its last photo on top."""
    older, newer = fake.upload(wish()), fake.upload(wish())
    ids = [task["task_id"] for task in fake.client.get("/tasks").json()]
    assert ids.index(newer) < ids.index(older)


def test_removals_are_done_in_the_order_they_came(fake: Service) -> None:
    """Nobody's photo may wait forever behind later ones."""
    fake.cut(wish())
    first = fake.upload(wish("sleep 0.5"))
    rest = [fake.upload(wish()) for _ in range(4)]
    for task_id in [first, *rest]:
        fake.finished(task_id)
    queued_ms = [
        fake.client.get(f"/remove/result/{task_id}").json()["timings_ms"]["queued"] for task_id in rest
    ]
    totals = [fake.client.get(f"/remove/result/{task_id}").json()["expires_at"] for task_id in [first, *rest]]
    assert totals == sorted(totals)
    assert min(queued_ms) > 100


def test_a_waiting_removal_is_cancelled_at_once_and_a_running_one_soon(fake: Service) -> None:
    """Cancel must work on the photo that hangs, too, and not harm the one behind it."""
    running = fake.upload(wish("sleep 60"))
    wait_for(lambda: fake.task(running)["message"] == "Sleeping")
    waiting, last = fake.upload(wish()), fake.upload(wish())
    for task_id in (waiting, running):
        answer = fake.client.delete(f"/tasks/{task_id}")
        assert (answer.json()["status"], answer.json()["code"]) == ("error", "cancelled")
    assert fake.finished(last)["status"] == "complete"
    assert fake.client.delete(f"/tasks/{waiting}").status_code == 409
    assert fake.client.get(f"/remove/result/{waiting}").json()["code"] == "cancelled"


def test_a_full_queue_says_when_to_come_back(start: Callable[..., Service]) -> None:
    """A client must be asked to wait rather than have its photos pile up."""
    service = start(builtin_worker=OBEYS, queue_limit=2)
    tasks = [service.upload(wish("sleep 2")), service.upload(wish())]
    answer = service.client.post("/remove/upload", files={"file": ("p.png", wish())})
    assert (answer.status_code, answer.json()["code"]) == (429, "queue_full")
    assert int(answer.headers["retry-after"]) > 0
    answer = service.client.get("/ready")
    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
    for task_id in tasks:
        service.finished(task_id)
    assert service.client.get("/ready").status_code == 200
    service.cut(wish())


def test_many_clients_at_once_each_get_their_own_photo(fake: Service) -> None:
    """A result that reached another client would be the worst leak there is."""
    photos = [wish(f"photo {number}") for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(fake.cut, photos)) == photos


def test_a_result_can_be_deleted_as_soon_as_its_client_has_it(fake: Service) -> None:
    """An hour is long for a private photo, and for the disk under a batch of thousands."""
    task_id = fake.upload(wish())
    fake.finished(task_id)
    path = f"/remove/result/{task_id}"
    address = fake.client.get(path).json()["result_url"].removeprefix("/api/v1")
    folders = list(fake.temp_dir.rglob(task_id))
    assert len(folders) == 1
    assert fake.client.delete(path).status_code == 204
    assert {file.name for file in folders[0].iterdir()} == {"job.json", "end.json"}
    assert {fake.client.get(gone).status_code for gone in (path, address)} == {410}
    assert fake.client.delete(path).status_code == 204
    assert fake.task(task_id)["status"] == "complete"


def test_an_answer_without_a_body_has_no_type_of_one(fake: Service) -> None:
    """Programs that read every answer declared as JSON would fail at a deletion that went well."""
    task_id = fake.upload(wish())
    fake.finished(task_id)
    answer = fake.client.delete(f"/remove/result/{task_id}")
    assert (answer.status_code, answer.headers.get("content-type"), answer.content) == (204, None, b"")


def test_only_what_has_ended_can_be_deleted(fake: Service) -> None:
    """The worker is still at it; to stop it is what cancelling is for."""
    task_id = fake.upload(wish("sleep 60"))
    assert fake.client.delete(f"/remove/result/{task_id}").json()["code"] == "still_running"
    fake.client.delete(f"/tasks/{task_id}")
    assert fake.client.delete(f"/remove/result/{task_id}").status_code == 204
    assert fake.client.delete("/remove/result/bgremove_0").status_code == 404


def test_results_are_gone_after_the_retention_and_their_files_too(start: Callable[..., Service]) -> None:
    """The promise is one hour, then nothing is kept."""
    service = start(builtin_worker=OBEYS, retention_s=1, cleanup_interval_s=0.2)
    task_id = service.upload(wish())
    service.finished(task_id)
    result = service.client.get(f"/remove/result/{task_id}").json()
    (folder,) = service.temp_dir.rglob(task_id)
    names = {file.name for file in folder.iterdir()}
    assert names == {"source", "result", "job.json", "end.json", "attempt-1"}
    wait_for(lambda: service.client.get(f"/tasks/{task_id}").json().get("code") == "expired")  # the last step
    assert time.time() >= result["expires_at"]
    assert service.client.get(f"/remove/result/{task_id}").json()["code"] == "expired"
    answer = service.client.get(result["result_url"].removeprefix("/api/v1"))
    assert (answer.status_code, answer.json()["code"]) == (410, "expired")
    assert not folder.exists()
    kept = {path.name for path in folder.parent.iterdir()}
    assert kept <= {"lock"}, kept


def test_a_file_can_be_asked_about_before_it_is_fetched(fake: Service) -> None:
    """Download managers ask for the size, health checks for no more than the status, and both by HEAD."""
    photo = wish("a photo")
    task_id = fake.upload(photo)
    fake.finished(task_id)
    path = fake.client.get(f"/remove/result/{task_id}").json()["result_url"].removeprefix("/api/v1")
    asked = fake.client.head(path)
    assert (asked.status_code, asked.content) == (200, b"")
    assert int(asked.headers["content-length"]) == len(photo)
    assert fake.client.get(path, headers={"Range": "bytes=0-3"}).content == photo[:4]
    assert fake.client.get(path, headers={"Range": "lines=1-2"}).content == photo
    for each in ("/health", "/ready", "/status", "/tasks", "/metrics"):
        answer = fake.client.head(each)
        assert (answer.status_code, answer.content) == (200, b""), each
