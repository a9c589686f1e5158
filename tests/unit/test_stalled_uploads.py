"""An upload that stops coming in, without a process or a socket."""

import asyncio
import json
from collections.abc import Collection, Sequence
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.types import Message

from supervisor.api.error_handlers import install_error_handlers
from supervisor.api.middleware import body_limit
from supervisor.api.middleware.body_limit import BodyLimitMiddleware

SCOPE = {
    "type": "http",
    "method": "POST",
    "path": "/upload",
    "query_string": b"",
    "headers": [(b"content-type", b"application/octet-stream")],
}


def guarded(
    stall_timeout_s: float, base64_paths: Collection[str] = (), max_upload_bytes: int = 1000
) -> BodyLimitMiddleware:
    """Return an application that reads a body, and waits for its client to leave, behind the middleware."""
    app = FastAPI()
    install_error_handlers(app, {})

    @app.post("/upload")
    async def upload(request: Request) -> int:
        size_bytes = len(await request.body())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):  # a removal takes longer than an upload may be silent
                await request.receive()  # as streams do, to learn that their client has left
        return size_bytes

    return BodyLimitMiddleware(
        app,
        max_upload_bytes=max_upload_bytes,
        base64_paths=base64_paths,
        formats={},
        stall_timeout_s=stall_timeout_s,
    )


def answer_to(pieces: Sequence[tuple[bytes, bool]], stall_timeout_s: float) -> tuple[int, Any]:
    """Return status and body of the answer to a client that sends these pieces and then nothing."""
    to_come = list(pieces)
    sent: list[Message] = []

    async def receive() -> Message:
        if not to_come:
            await asyncio.Event().wait()
        body, more = to_come.pop(0)
        return {"type": "http.request", "body": body, "more_body": more}

    async def send(message: Message) -> None:
        sent.append(message)

    async def asked() -> None:
        async with asyncio.timeout(20):
            await guarded(stall_timeout_s)(SCOPE, receive, send)

    asyncio.run(asked())
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], json.loads(body)


@pytest.mark.parametrize("pieces", [[], [(b"begun", True)], [(b"begun", True), (b"", True)]])
def test_an_upload_that_stops_coming_in_is_given_up(pieces: list[tuple[bytes, bool]]) -> None:
    """Else each phone that leaves the network in the middle holds a connection and a file forever."""
    status, body = answer_to(pieces, stall_timeout_s=0.01)
    assert (status, body["code"]) == (408, "upload_stalled")


def test_a_client_that_has_sent_everything_may_be_silent_while_it_waits() -> None:
    """Else every removal that takes longer than a minute would be cut off."""
    assert answer_to([(b"whole", False)], stall_timeout_s=0.01) == (200, 5)


PIECE, MAX_UPLOAD_BYTES = bytes(50_000), 1_000_000  # a budget of 2 bodies of 2.5 MB


class Client:
    """A client of the base64 route that sends pieces on demand."""

    def __init__(self, limited: BodyLimitMiddleware) -> None:
        self.pieces: asyncio.Queue[tuple[bytes, bool]] = asyncio.Queue()
        self.status = 0
        self.task = asyncio.create_task(limited(SCOPE, self._receive, self._send))

    async def _receive(self) -> Message:
        body, more = await self.pieces.get()
        return {"type": "http.request", "body": body, "more_body": more}

    async def _send(self, message: Message) -> None:
        self.status = message.get("status", self.status)

    async def put(self, count: int, *, last: bool = False) -> None:
        """Send pieces, and let them be received."""
        for number in range(count):
            self.pieces.put_nowait((PIECE, not last or number < count - 1))
        for _ in range(20 * count):
            await asyncio.sleep(0)


@pytest.mark.parametrize(("slow_bytes_per_s", "slow_after_s"), [(10**12, 0.0), (0, 0.0), (10**12, 1000.0)])
def test_slow_clients_keep_the_budget_of_bodies_only_until_others_need_it(
    monkeypatch: pytest.MonkeyPatch, slow_bytes_per_s: int, slow_after_s: float
) -> None:
    """Two that trickle would shut all others out; those that have sent everything are not slow."""
    monkeypatch.setattr(body_limit, "SLOW_BYTES_PER_S", slow_bytes_per_s)
    monkeypatch.setattr(body_limit, "SLOW_AFTER_S", slow_after_s)
    is_given_up = slow_bytes_per_s > 0 and slow_after_s == 0

    async def act() -> None:
        limited = guarded(30, {"/upload"}, MAX_UPLOAD_BYTES)
        slow = [Client(limited) for _ in range(2)]
        for client in slow:
            await client.put(50)
        whole = Client(limited)
        await whole.put(1, last=True)
        late = Client(limited)
        await late.put(20, last=True)
        await asyncio.wait({late.task, whole.task})
        assert (whole.status, late.status) == (200, 200 if is_given_up else 429)
        if is_given_up:
            await asyncio.wait({client.task for client in slow})
            assert [client.status for client in slow] == [408, 408]
        for client in slow:
            await client.put(1, last=True)
            await asyncio.wait({client.task})
        again = [Client(limited) for _ in range(2)]  # the budget is whole again, and no larger
        for client in again:
            await client.put(49)
        assert [client.status for client in again] == [0, 0]
        for client in again:
            await client.put(1, last=True)
        await asyncio.wait({client.task for client in again})
        assert [client.status for client in again] == [200, 200]
        assert limited._free_bytes == 2 * (MAX_UPLOAD_BYTES * 3 // 2 + body_limit.OVERHEAD_BYTES)

    asyncio.run(asyncio.wait_for(act(), 20))
