"""An upload that stops coming in, without a process or a socket."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.types import Message

from supervisor.api.error_handlers import install_error_handlers
from supervisor.api.middleware.body_limit import BodyLimitMiddleware

SCOPE = {
    "type": "http",
    "method": "POST",
    "path": "/upload",
    "query_string": b"",
    "headers": [(b"content-type", b"application/octet-stream")],
}


def guarded(stall_timeout_s: float) -> BodyLimitMiddleware:
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
        max_upload_bytes=1000,
        base64_paths=(),
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
