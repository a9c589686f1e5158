"""The size limits of requests, by the length that a client announces, with the content that takes most."""

import asyncio
import base64
import random
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.types import Message

from supervisor.api.middleware.body_limit import MAX_TEXT_BYTES, BodyLimitMiddleware

MAX_UPLOAD_BYTES = 14_000_000
BASE64_PATH = "/v1.0/removebg"
UPLOAD = "/api/v1/remove/upload"
FORM = "multipart/form-data; boundary=b"
TEXT_FORM = "application/x-www-form-urlencoded"


def is_accepted(path: str, content_type: str, length: int) -> bool:
    """Return whether a request of that announced length reaches the application."""
    reached: list[str] = []

    async def application(scope: object, receive: object, send: object) -> None:  # noqa: ARG001 - ASGI's
        reached.append(path)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: Message) -> None:
        pass

    headers = [(b"content-type", content_type.encode()), (b"content-length", str(length).encode())]
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": headers,
    }
    scope["app"] = FastAPI()
    limited = BodyLimitMiddleware(
        application, max_upload_bytes=MAX_UPLOAD_BYTES, base64_paths={BASE64_PATH}, formats={}
    )
    asyncio.run(limited(scope, receive, send))
    return bool(reached)


def test_a_form_of_two_files_of_the_largest_size_is_accepted() -> None:
    """A photo, and an image to put behind it; their sizes are checked one by one later."""
    assert is_accepted(UPLOAD, FORM, 2 * MAX_UPLOAD_BYTES + 10_000)
    assert not is_accepted(UPLOAD, FORM, 3 * MAX_UPLOAD_BYTES)


def test_the_largest_photo_in_base64_is_accepted_with_the_escapes_of_a_form() -> None:
    """Each + and / takes three bytes there: one character of 32, as photos are random bytes."""
    text = base64.b64encode(random.Random(0).randbytes(MAX_UPLOAD_BYTES))
    escapes = text.count(b"+") + text.count(b"/")
    assert is_accepted(BASE64_PATH, TEXT_FORM, len("image_file_b64=") + len(text) + 2 * escapes)
    assert not is_accepted(BASE64_PATH, TEXT_FORM, 2 * MAX_UPLOAD_BYTES)


@pytest.mark.parametrize(("length", "accepted"), [(MAX_TEXT_BYTES, True), (MAX_TEXT_BYTES + 1, False)])
@pytest.mark.parametrize("content_type", [TEXT_FORM, "application/json", "", "text/plain"])
def test_a_text_may_have_64_kib(content_type: str, length: int, *, accepted: bool) -> None:
    """It is parsed in one go on the event loop."""
    assert is_accepted("/api/v1/remove/url", content_type, length) == accepted
    assert is_accepted(UPLOAD, content_type, length) == accepted
