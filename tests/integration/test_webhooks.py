"""Webhooks: the end of a removal is POSTed to the client's server, at least once."""

import hashlib
import hmac
import json
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

from supervisor.jobs import webhook
from tests.integration.test_durability import Restarts, kill
from tests.photos import wish
from tests.service import OBEYS, Service, running, wait_for

SECRET = "s3cret"


@dataclass
class Receiver:
    """A client's server: what it received, and what it answers, then 200."""

    url: str = ""
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    def events(self) -> list[dict[str, Any]]:
        """Return the bodies that were received."""
        return [json.loads(body) for _, body in self.received]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A client's server on this machine."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
            status = receiver.answers.pop(0) if receiver.answers else 200
            self.send_response(status)
            if status == 302:
                self.send_header("Location", f"{receiver.url}/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_port}/hook"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield receiver
        server.shutdown()


SETTINGS: dict[str, Any] = {
    "builtin_worker": OBEYS,
    "callback_allow_private": True,
    "callback_secret": SECRET,
}
# The back-off of 5 and 30 s is shortened for the tests.
QUICK = (
    "import sys, supervisor.server as server; from supervisor.jobs import webhook;"
    "webhook.Webhooks.__init__.__kwdefaults__['back_off_s'] = (0, 0.1, 0.1); server.main(sys.argv[1:])"
)


@pytest.fixture(scope="module")
def quick(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that may call this machine, and tries again soon."""

    folder = tmp_path_factory.mktemp("hooks")
    command = (sys.executable, "-c", QUICK)
    with running(data_dir, folder / "temp", command=command, **SETTINGS) as service:
        yield service


def upload(service: Service, url: str, text: str = "") -> str:
    """Upload a photo with a callback, and return the task's id."""
    return service.upload(wish(text), callback_url=url)


def test_a_finished_removal_is_posted_with_its_result(quick: Service, receiver: Receiver) -> None:
    """The links are whole, as the receiver does not know the service's address."""
    task_id = upload(quick, receiver.url, "hello")
    wait_for(lambda: receiver.received)
    (event,) = receiver.events()
    assert event["event"] == "removal.complete"
    assert event["task"]["task_id"] == task_id
    assert event["task"]["status"] == "complete"
    assert event["result"]["result_url"].startswith(f"{quick.url}/api/v1/files/")
    assert httpx2.get(event["result"]["result_url"], trust_env=False).content == wish("hello")
    wait_for(lambda: "Webhook, try 1: HTTP status 200" in quick.task(task_id)["logs"])


def test_a_url_s_removal_is_posted_too(quick: Service, receiver: Receiver) -> None:
    """It fails here: the address is of no network."""
    sent = {"url": "http://192.0.2.1/a.png", "callback_url": receiver.url}
    task_id = quick.client.post("/remove/url", json=sent).json()["task_id"]
    wait_for(lambda: receiver.received)
    (event,) = receiver.events()
    assert (event["event"], event["task"]["task_id"], event["result"]) == ("removal.error", task_id, None)
    assert event["task"]["code"] == "url_refused"


@pytest.mark.parametrize("text", ["fail", "sleep 60"])
def test_failed_and_cancelled_removals_are_posted(quick: Service, receiver: Receiver, text: str) -> None:
    """A client that waits for the end needs each of them."""
    task_id = upload(quick, receiver.url, text)
    if text != "fail":
        quick.client.delete(f"/tasks/{task_id}")
    wait_for(lambda: receiver.received)
    (event,) = receiver.events()
    assert event["event"] == "removal.error"
    assert event["task"]["code"] == ("damaged_image" if text == "fail" else "cancelled")


def test_a_delivery_is_signed(quick: Service, receiver: Receiver) -> None:
    """As the documentation describes the check."""
    task_id = upload(quick, receiver.url)
    wait_for(lambda: receiver.received)
    headers, body = receiver.received[0]
    signed = f"{headers['x-bgremove-timestamp']}.".encode() + body
    expected = "sha256=" + hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert headers["x-bgremove-signature"] == expected
    assert abs(time.time() - int(headers["x-bgremove-timestamp"])) < 60
    assert headers["x-bgremove-delivery"] == task_id
    assert headers["content-type"] == "application/json"


def test_a_failed_delivery_is_tried_three_times(quick: Service, receiver: Receiver) -> None:
    """Then it is given up, which the task's log says."""
    receiver.answers = [500, 503, 502, 200]
    task_id = upload(quick, receiver.url)
    wait_for(lambda: len(receiver.received) == 3)
    wait_for(lambda: "Webhook, try 3: HTTP status 502" in quick.task(task_id)["logs"])
    time.sleep(0.4)
    assert len(receiver.received) == 3
    assert len({headers["x-bgremove-delivery"] for headers, _ in receiver.received}) == 1


@pytest.mark.parametrize(("answers", "tries"), [([500, 200], 2), ([204], 1), ([410], 1), ([302, 200], 2)])
def test_a_success_ends_the_tries(quick: Service, receiver: Receiver, answers: list[int], tries: int) -> None:
    """Redirects are not followed: they could lead to other networks."""
    receiver.answers = list(answers)
    task_id = upload(quick, receiver.url)
    wait_for(lambda: f"Webhook, try {tries}: HTTP status {answers[-1]}" in quick.task(task_id)["logs"])
    assert len(receiver.received) == tries


def test_a_receiver_that_is_not_there_delays_nothing(quick: Service) -> None:
    """Neither the task's end nor other tasks."""
    ids = [upload(quick, "http://127.0.0.1:9/") for _ in range(20)]
    started = time.monotonic()
    assert {quick.finished(task_id)["status"] for task_id in ids} == {"complete"}
    assert time.monotonic() - started < 10
    wait_for(lambda: any("try 3" in line for line in quick.task(ids[0])["logs"]))


@pytest.mark.parametrize("url", ["ftp://a/b", "hook", "http://user:secret@a/b", "http://a b/"])
def test_what_is_no_http_address_is_refused(fake: Service, url: str) -> None:
    """At once, by the field's name."""
    for answer in (
        fake.client.post("/remove/upload", files={"file": wish()}, data={"callback_url": url}),
        fake.client.post("/remove/url", json={"url": "http://example.com/a.png", "callback_url": url}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (400, "url_refused")
        assert "callback_url" in answer.json()["detail"]


def test_private_addresses_are_not_called_by_default(fake: Service, receiver: Receiver) -> None:
    """A client could reach services of this network that trust it (SSRF)."""
    task_id = upload(fake, receiver.url)
    refused = "Webhook, try 1: refused, as BGREMOVE_CALLBACK_ALLOW_PRIVATE is not set"
    wait_for(lambda: refused in fake.task(task_id)["logs"])
    assert not receiver.received


def test_an_undelivered_end_is_delivered_after_a_restart(
    data_dir: Path, tmp_path: Path, receiver: Receiver
) -> None:
    """Killed or ended in order, and once only when it was delivered."""
    restarts = Restarts(data_dir, tmp_path)
    settings = {name: value for name, value in SETTINGS.items() if name != "builtin_worker"}
    receiver.answers = [500] * 9
    service = restarts.start(**settings)
    killed = upload(service, receiver.url)
    wait_for(lambda: len(receiver.received) == 1)
    kill(service)
    receiver.answers = [500]
    service = restarts.start(**settings)
    wait_for(lambda: len(receiver.received) == 2)
    service.end()
    receiver.answers = []
    with restarts.running(**settings) as again:
        wait_for(lambda: len(receiver.received) == 3)
        wait_for(lambda: list(again.spool_dir.glob(f"1/{killed}/notified.json")))
        assert {event["task"]["task_id"] for event in receiver.events()} == {killed}
        assert receiver.events()[-1]["result"]["task_id"] == killed
    with restarts.running(**settings) as again:
        waiting = upload(again, receiver.url)
        wait_for(lambda: len(receiver.received) == 4)
        assert receiver.events()[-1]["task"]["task_id"] == waiting, "the first is not repeated"
        assert again.task(killed)["logs"][-1] == "Webhook, try 1: HTTP status 200"


def test_a_deleted_result_is_still_announced_after_a_restart(
    data_dir: Path, tmp_path: Path, receiver: Receiver
) -> None:
    """Its end is news all the same; the links would lead to nothing."""
    restarts = Restarts(data_dir, tmp_path)
    settings = {name: value for name, value in SETTINGS.items() if name != "builtin_worker"}
    receiver.answers = [500]
    service = restarts.start(**settings)
    task_id = upload(service, receiver.url)
    wait_for(lambda: receiver.received)
    assert service.client.delete(f"/remove/result/{task_id}").status_code == 204
    kill(service)
    with restarts.running(**settings):
        wait_for(lambda: len(receiver.received) == 2)
    event = receiver.events()[-1]
    assert (event["event"], event["task"]["task_id"], event["result"]) == ("removal.complete", task_id, None)


def test_a_removal_that_waits_is_not_posted_at_the_end_of_the_service(
    data_dir: Path, tmp_path: Path, receiver: Receiver
) -> None:
    """It has not ended: the next service goes on with it, and posts its end."""
    restarts = Restarts(data_dir, tmp_path)
    settings = {name: value for name, value in SETTINGS.items() if name != "builtin_worker"}
    service = restarts.start(**settings)
    task_id = upload(service, receiver.url, "sleep 60")
    wait_for(lambda: service.task(task_id)["message"] == "Sleeping")
    service.end()
    assert not receiver.received
    (source,) = service.spool_dir.glob("1/*/source")
    source.write_bytes(wish())
    with restarts.running(**settings):
        wait_for(lambda: receiver.received)
    assert receiver.events()[0]["event"] == "removal.complete"


def test_the_signature_is_hmac_sha256() -> None:
    """A known answer, by OpenSSL: printf '1700000000.{}' | openssl dgst -sha256 -hmac key."""
    assert webhook.sign("key", "1700000000", b"{}") == KNOWN


KNOWN = "sha256=9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae"
