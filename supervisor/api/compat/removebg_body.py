"""Request bodies of remove.bg's API: multipart, urlencoded, JSON, or the image itself."""

import asyncio
import base64
import codecs
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import aclosing
from urllib.parse import unquote_to_bytes

from fastapi import Request, UploadFile
from starlette.exceptions import HTTPException

from supervisor.api.compat.removebg_errors import RemovebgRefusal
from supervisor.api.compat.removebg_request import RemovebgRequest, is_given, make_parameter_error
from supervisor.api.field_limits import MAX_TEXT_BYTES, is_too_long
from supervisor.api.multipart import BASE64_FIELD
from supervisor.api.upload_route import FILE_FIELD, is_image

STRIP_BYTES = 1024**2
ESCAPED_BYTES = 64 * 1024  # a strip of a form, each escape in which becomes an object for a moment
MAX_ESCAPED_BYTES = 4 * MAX_TEXT_BYTES  # an escape has three bytes
MAX_MARKS = 200  # commas and brackets, or ampersands; the fields need two dozen, base64 has none
_DATA_URL = re.compile(r"data:image/[\w.+-]+;base64,")


async def read_fields(request: Request, max_field_bytes: int) -> Mapping[str, object]:
    """Return a request's parameters by name; closing it deletes its files. Raises RemovebgRefusal."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return _check_lengths(await _read_json_fields(await _read_body(request)))
    if kind == "application/x-www-form-urlencoded":
        return _check_lengths(
            _reject_duplicates(await asyncio.to_thread(_parse_urlencoded, await _read_body(request)))
        )
    try:
        form = await request.form(max_part_size=max_field_bytes)
    except HTTPException as error:
        if error.status_code not in (400, 422):
            raise
        raise RemovebgRefusal("invalid_request", "The form cannot be read", str(error.detail)) from error
    names = {FILE_FIELD: "image_file"} if is_image(kind) else {}
    return _reject_duplicates((names.get(name, name), value) for name, value in form.multi_items())


async def decode_base64(text: str) -> UploadFile:
    """Decode a base64 parameter, which may be a data URL, to a file. Raises RemovebgRefusal."""
    start = _DATA_URL.match(text)
    try:
        data = await asyncio.to_thread(_decode, text[start.end() :] if start else text)
    except ValueError as error:
        raise make_parameter_error("image_file_b64", "It is not base64.") from error
    return UploadFile(io.BytesIO(data), size=len(data), filename="image")


async def _read_body(request: Request) -> bytes:
    """Return the body; its chunks are joined on a thread, which releases the GIL for that."""
    async with aclosing(request.stream()) as stream:
        chunks = [chunk async for chunk in stream]
    return await asyncio.to_thread(b"".join, chunks)


def _decode(text: str) -> bytes:
    """Decode base64 with white space, chunk by chunk, as the decoder holds the GIL."""
    pieces, rest = [], ""
    for start in range(0, len(text), STRIP_BYTES):
        rest += "".join(text[start : start + STRIP_BYTES].split())
        whole = len(rest) // 4 * 4
        pieces.append(base64.b64decode(rest[:whole], validate=True))
        rest = rest[whole:]
    return b"".join([*pieces, base64.b64decode(rest, validate=True)])


async def _read_json_fields(body: bytes) -> Mapping[str, object]:
    try:
        fields = await asyncio.to_thread(_parse_json, body)
    except ValueError as error:
        title = "The body is not valid JSON, or not a flat object"
        raise RemovebgRefusal("invalid_request", title) from error
    if not isinstance(fields, dict):
        raise RemovebgRefusal("invalid_request", "The body is not a JSON object")
    return fields


def _parse_json(body: bytes) -> object:
    """Parse a flat JSON object. Raises ValueError for anything else, before parsing it.

    The parser holds the GIL, and would make millions of lists, or fail on deep ones.
    """
    if _has_too_many(body, b"[", b"{", b","):
        raise ValueError
    return json.loads(body)


def _parse_urlencoded(body: bytes) -> list[tuple[str, str]]:
    """Parse an urlencoded form, chunk by chunk. Raises RemovebgRefusal.

    Starlette does it in one go on the event loop, and takes eighty bytes for each escape. Of a text that is
    too long, only so much is decoded that its length is refused.
    """
    if _has_too_many(body, b"&"):
        raise RemovebgRefusal("invalid_request", "The form cannot be read", "It has too many fields.")
    fields = []
    start = 0
    while start < len(body):
        end = _find(body, b"&", start, len(body))
        equals = _find(body, b"=", start, end)
        if start < end:
            name = "".join(_decode_chunks(body, start, min(equals, start + MAX_ESCAPED_BYTES)))
            stop = end if name == BASE64_FIELD else min(end, equals + 1 + MAX_ESCAPED_BYTES)
            fields.append((name, "".join(_decode_chunks(body, equals + 1, stop))))
        start = end + 1
    return fields


def _find(body: bytes, mark: bytes, start: int, end: int) -> int:
    """Return the index of the delimiter `mark`; `end` if there is none."""
    found = body.find(mark, start, end)
    return end if found < 0 else found


def _decode_chunks(body: bytes, start: int, end: int) -> Iterator[str]:
    """Yield the decoded text between two indices, chunk by chunk, so that other threads can run."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    while start < end:
        stop = min(start + ESCAPED_BYTES, end)
        if stop < end:  # an escape that continues in the next chunk is decoded there
            stop = _find(body, b"%", stop - 2, stop)
        yield decoder.decode(unquote_to_bytes(body[start:stop].replace(b"+", b" ")))
        start = stop
    yield decoder.decode(b"", final=True)


def _has_too_many(body: bytes, *marks: bytes) -> bool:
    """Whether `body` holds more of the delimiters `marks` than any request needs."""
    count = 0
    for start in range(0, len(body), STRIP_BYTES):
        strip = body[start : start + STRIP_BYTES]
        count += sum(map(strip.count, marks))
        if count > MAX_MARKS:
            return True
    return False


def _check_lengths(fields: Mapping[str, object]) -> Mapping[str, object]:
    """Return `fields`. Raises RemovebgRefusal for a name or text that is too long, except the base64 text."""
    for name, value in fields.items():
        if is_too_long(name):
            raise RemovebgRefusal("invalid_request", "A parameter's name is too long")
        if isinstance(value, str) and name != BASE64_FIELD and is_too_long(value):
            raise make_parameter_error(name, f"It has more than {MAX_TEXT_BYTES:,} bytes.")
    return fields


def _reject_duplicates(pairs: Iterable[tuple[str, object]]) -> Mapping[str, object]:
    fields: dict[str, object] = {}
    for name, value in pairs:
        if is_given(value) and is_given(fields.get(name)) and name in RemovebgRequest.model_fields:
            raise make_parameter_error(name, f"{name} was sent more than once.")
        if is_given(value) or name not in fields:
            fields[name] = value
    return fields
