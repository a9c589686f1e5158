"""Requests that the server cancels at its shutdown."""

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from supervisor.api.middleware.shutdown import ShutdownMiddleware

BEGIN: Message = {"type": "http.response.start", "status": 200, "headers": []}


@pytest.mark.parametrize("begun", [False, True])
def test_a_cancelled_request_ends_without_an_exception(begun: bool) -> None:  # noqa: FBT001  # a parameter
    """A download that nobody read, or an upload that a thread wrote, was a traceback at the shutdown."""
    sent: list[Message] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        if begun:
            await send(BEGIN)
        await asyncio.sleep(60)

    async def receive() -> Message:
        raise AssertionError("nothing is read")

    async def send(message: Message) -> None:
        sent.append(message)

    async def scenario() -> None:
        scope = {"type": "http", "path": "/api/v1/remove/upload", "method": "POST", "headers": []}
        request = asyncio.create_task(ShutdownMiddleware(app, formats={})(scope, receive, send))
        await asyncio.sleep(0)
        request.cancel()
        await request

    asyncio.run(scenario())
    if begun:
        assert sent == [BEGIN]
    else:
        assert (sent[0]["status"], b'"stopping"' in sent[1]["body"]) == (503, True)
