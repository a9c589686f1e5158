"""Removals whose client waits on the line: the queue's limit, a client that leaves, and what stays behind."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from PIL import Image

from tests.conftest import SAMPLES
from tests.photos import encoded, wish
from tests.service import OBEYS, Service, wait_for

CAT = SAMPLES / "cat.jpg"
ROUTES = [("/api/remove", "file"), ("/v1.0/removebg", "image_file")]
routes = pytest.mark.parametrize(("path", "field"), ROUTES)


@contextmanager
def waiting(service: Service, path: str, field: str, photo: bytes) -> Iterator[socket.socket]:
    """Send a photo over a socket of its own, and hold the line until the block ends."""
    part = f'--b\r\nContent-Disposition: form-data; name="{field}"; filename="p.png"\r\n\r\n'
    body = part.encode() + photo + b"\r\n--b--\r\n"
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{service.port}\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", service.port)) as line:
        line.sendall(head.encode() + body)
        yield line


def running(service: Service) -> list[dict[str, str]]:
    """Return the tasks that have not ended."""
    tasks = service.client.get("/tasks").json()
    return [task for task in tasks if task["status"] in ("queued", "running")]


def folders(service: Service) -> list[str]:
    """Return the folders of removals on the disk."""
    return [folder.name for folder in service.temp_dir.glob("spool/1/bgremove_*")]


@routes
def test_a_client_that_goes_away_cancels_its_removal(fake: Service, path: str, field: str) -> None:
    """Nobody waits for the result: the worker is free for others, and the disk too."""
    before = set(folders(fake))  # the service is shared
    with waiting(fake, path, field, wish("sleep 60")):
        (task,) = wait_for(lambda: [t for t in running(fake) if t["message"] == "Sleeping"], 30)
    ended = fake.finished(task["task_id"], timeout_s=10)
    assert (ended["status"], ended["code"]) == ("error", "cancelled")
    wait_for(lambda: not set(folders(fake)) - before)
    assert fake.client.get("/status").json()["queue"]["length"] == 0
    answer = fake.client.post(fake.url + path, files={field: wish()})
    assert answer.status_code == 200


@routes
def test_a_client_that_goes_away_leaves_the_queue(fake: Service, path: str, field: str) -> None:
    """A removal that still waits its turn never begins."""
    first = fake.upload(wish("sleep 2"))
    with waiting(fake, path, field, wish("sleep 60")):
        second = next(task["task_id"] for task in wait_for(lambda: both(fake)) if task["task_id"] != first)
    assert fake.finished(second, timeout_s=10)["code"] == "cancelled"
    assert fake.finished(first)["status"] == "complete"


def both(service: Service) -> list[dict[str, str]]:
    """Return the two tasks that run, or nothing while there are fewer."""
    tasks = running(service)
    return tasks if len(tasks) == 2 else []


@routes
def test_a_full_queue_says_when_to_come_again(start: Callable[..., Service], path: str, field: str) -> None:
    """Clients of both services know to wait."""
    service = start(builtin_worker=OBEYS, queue_limit=1)
    held = service.upload(wish("sleep 20"))
    answer = service.client.post(service.url + path, files={field: wish()})
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert service.client.delete(f"/tasks/{held}").status_code == 200


@routes
def test_nothing_is_kept_once_the_answer_is_sent(fake: Service, path: str, field: str) -> None:
    """No one else knows the result's address, so keeping it would only fill the disk."""
    before = {task["task_id"] for task in fake.client.get("/tasks").json()}
    photo = wish() + b" " * 3_000_000
    answer = fake.client.post(fake.url + path, files={field: photo})
    assert answer.content == photo
    (task,) = [task for task in fake.client.get("/tasks").json() if task["task_id"] not in before]
    assert task["status"] == "complete"
    wait_for(lambda: task["task_id"] not in folders(fake))
    gone = fake.client.get(f"/remove/result/{task['task_id']}")
    assert (gone.status_code, gone.json()["code"]) == (410, "expired")


def test_an_answer_in_json_and_a_photo_without_a_subject_leave_nothing_behind(service: Service) -> None:
    """docs/compatibility.md promises so for every answer; these two are not sent as a file."""
    before = set(folders(service))
    for photo, status in ((CAT.read_bytes(), 200), (encoded(Image.new("RGB", (320, 240), "gray")), 400)):
        answer = service.client.post(
            f"{service.url}/v1.0/removebg",
            files={"image_file": photo},
            headers={"Accept": "application/json"},
        )
        assert answer.status_code == status
        assert not set(folders(service)) - before


@routes
def test_a_client_that_leaves_in_the_middle_of_the_answer_leaves_nothing_behind(
    fake: Service, path: str, field: str
) -> None:
    """The answer is larger than what the network holds, so most of it is never read."""
    before = set(folders(fake))  # the service is shared
    with waiting(fake, path, field, wish() + b" " * 30_000_000) as line:
        assert line.recv(12) == b"HTTP/1.1 200"
        assert set(folders(fake)) - before
    wait_for(lambda: not set(folders(fake)) - before)


@routes
def test_the_service_ends_in_time_with_a_client_on_the_line(
    start: Callable[..., Service], path: str, field: str
) -> None:
    """A client that waits for a long removal does not hold the end up."""
    service = start(builtin_worker=OBEYS)
    with waiting(service, path, field, wish("sleep 60")) as line:
        wait_for(lambda: running(service))
        assert service.end() == 0
        assert line.recv(9) == b"HTTP/1.1 "
