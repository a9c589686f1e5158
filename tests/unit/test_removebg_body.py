"""How the bodies of remove.bg's clients are read."""

import asyncio
import tracemalloc
from collections.abc import Mapping
from urllib.parse import parse_qsl

import pytest
from fastapi import Request
from starlette.types import Message

from supervisor.api.compat import removebg_body
from supervisor.api.compat.removebg_body import ESCAPED_BYTES, MAX_MARKS, read_fields
from supervisor.api.compat.removebg_errors import RemovebgRefusal
from supervisor.api.field_limits import is_too_long


def request(body: bytes) -> Request:
    """Return a request with an urlencoded form."""
    headers = [(b"content-type", b"application/x-www-form-urlencoded; charset=utf-8")]

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    return Request({"type": "http", "headers": headers}, receive)


def fields(body: bytes) -> Mapping[str, object]:
    """Return the fields of a form."""
    return asyncio.run(read_fields(request(body), 10**9))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"a=1&&b=+2%2B=3&c&=&d=%e4%f6%&e=%C3%BC%F0%9F%90%88&",
        b"image_file_b64=" + b"%41" * ESCAPED_BYTES,
        b"image_file_b64=b" + b"%41" * ESCAPED_BYTES,
        b"image_file_b64=bb" + b"%41" * ESCAPED_BYTES,
        b"%69mage_file_b64=" + b"%F0%9F%90%88" * ESCAPED_BYTES + b"%4",
        b"image_file_b64=" + b"%" * (ESCAPED_BYTES + 1) + b"&b=2",
    ],
    ids=lambda body: f"{body[:8]!r} {len(body)}",
)
def test_a_form_reads_as_everywhere(body: bytes) -> None:
    """Wherever one of its escapes, or the bytes of one character, fall into two strips."""
    assert fields(body) == dict(parse_qsl(body.decode(), keep_blank_values=True))


def test_others_are_served_while_a_long_form_is_read() -> None:
    """Its escapes take seconds, in which nobody would get progress."""
    turns = 0

    async def read() -> Mapping[str, object]:
        nonlocal turns
        reading = asyncio.create_task(read_fields(request(b"image_file_b64=" + b"%41" * 1_000_000), 10**9))
        while not reading.done():
            await asyncio.sleep(0)
            turns += 1
        return await reading

    assert asyncio.run(read()) == {"image_file_b64": "A" * 1_000_000}
    assert turns > 5


def test_only_a_known_parameter_with_two_values_is_refused() -> None:
    """Which of the two was meant, nobody can know."""
    assert fields(b"a=1&a=2&size=&size=full&size=") == {"a": "2", "size": "full"}
    with pytest.raises(RemovebgRefusal) as refusal:
        fields(b"size=full&size=hd")
    assert refusal.value.removebg_code == "invalid_size"


def test_a_form_of_very_many_fields_is_refused() -> None:
    """They would take many times its length in memory."""
    with pytest.raises(RemovebgRefusal, match="too many fields"):
        fields(b"a=1&" * (MAX_MARKS + 1))


@pytest.mark.parametrize(
    "body", [b"a" * 5_000_000 + b"=1", b"crop_margin=" + b"1%25+" * 1_000_000, b"%61" * 10**6]
)
def test_of_a_text_that_is_too_long_only_the_start_is_decoded(body: bytes) -> None:
    """The whole of it would hold the GIL, and so the event loop."""
    tracemalloc.start()
    try:
        ((name, value),) = removebg_body._parse_urlencoded(body)
        assert is_too_long(name) or is_too_long(value)
        assert tracemalloc.get_traced_memory()[1] < 3 * 1024**2  # of which the search for fields takes one
    finally:
        tracemalloc.stop()
