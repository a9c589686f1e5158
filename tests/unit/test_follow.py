"""The command line's HTTP client: a task through several outages, and the delay that a full queue names."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from cli import api_client
from cli.api_client import MAX_FAILURES, Client
from cli.command_errors import ServerBusy, Unreachable

ID = "bgremove_1"


def state(percent: float, status: str = "running") -> dict[str, Any]:
    """Return a state of the task."""
    return {"task_id": ID, "status": status, "percent": percent, "message": "step", "logs": [], "code": None}


class Server:
    """Answers each stream and each poll by the next entry of `answers`: a state, or None for no answer."""

    def __init__(self, answers: list[dict[str, Any] | None]) -> None:
        self.answers = iter(answers)

    def respond(self, request: httpx2.Request) -> httpx2.Response:
        """Send one event and end the stream, or send the state; refuse the connection for None."""
        answer = next(self.answers)
        if answer is None:
            raise httpx2.ConnectError("refused", request=request)
        if "/stream/" in request.url.path:
            event = f"data: {json.dumps(answer)}\n\n".encode()
            return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=event)
        return httpx2.Response(200, json=answer)


def follow(monkeypatch: pytest.MonkeyPatch, answers: list[dict[str, Any] | None]) -> Iterator[float]:
    """Follow a task whose server answers like that, and yield its percents."""
    pauses: list[float] = []
    monkeypatch.setattr("cli.api_client.time.sleep", pauses.append)
    with Client("http://127.0.0.1:1", None) as client:
        transport = httpx2.MockTransport(Server(answers).respond)
        client._http = httpx2.Client(base_url="http://127.0.0.1:1", transport=transport)
        for each in client.follow(ID):
            yield each["percent"]
    assert set(pauses) <= {api_client.RECONNECT_DELAY_S}


OUTAGE: list[dict[str, Any] | None] = [None, None] * (MAX_FAILURES - 1)  # streams and polls that fail


def test_a_task_is_followed_through_several_outages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each event and each poll that is answered ends the outage before it."""
    by_event = [*OUTAGE, state(10), None, *OUTAGE[:-2], state(20), None, *OUTAGE[:-2]]
    by_poll = [None, state(30), *OUTAGE, None, state(40), *OUTAGE]
    done = [state(100, "complete")]
    assert list(follow(monkeypatch, [*by_event, *done])) == [10, 20, 100]
    assert list(follow(monkeypatch, [*by_poll, *done])) == [30, 40, 100]


def test_a_server_that_is_away_for_longer_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The image is then uploaded again once a server answers."""
    with pytest.raises(Unreachable):
        list(
            follow(
                monkeypatch, [state(10), None, *OUTAGE[:-2], None, None, None, None, state(100, "complete")]
            )
        )


@pytest.mark.parametrize(
    ("header", "delay_s"), [("5", 5), ("0", 0), ("-3", 0), ("60", 60), ("86400", 60), ("soon", 2), (None, 2)]
)
def test_retry_after_is_respected_up_to_a_minute(header: str | None, delay_s: float) -> None:
    """A server that is set up wrongly must not hold a batch for a day."""
    headers = {} if header is None else {"Retry-After": header}
    full = httpx2.Response(429, headers=headers, json={"detail": "The queue is full.", "code": "queue_full"})
    with Client("http://127.0.0.1:1", None) as client:
        transport = httpx2.MockTransport(lambda _: full)
        client._http = httpx2.Client(base_url="http://127.0.0.1:1", transport=transport)
        with pytest.raises(ServerBusy) as busy:
            client.submit_url("https://example.org/photo.jpg", {}, "key")
    assert busy.value.retry_after_s == delay_s


def test_a_task_that_ends_between_two_events_is_found_by_a_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that a proxy closes early says nothing of the end."""
    assert list(follow(monkeypatch, [state(10), state(100, "error")])) == [10, 100]
