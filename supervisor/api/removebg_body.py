"""How remove.bg's clients send a request: as a form of either kind, or as JSON."""

import asyncio
import base64
import io
import json
import re
from collections.abc import Mapping

from fastapi import Request, UploadFile
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from supervisor.api.removebg_errors import RemovebgRefusal
from supervisor.api.removebg_request import invalid

STRIP_BYTES = 1024**2
MAX_MARKS = 200  # commas and brackets; the fields need two dozen, base64 has none
_DATA_URL = re.compile(r"data:image/[\w.+-]+;base64,")


async def fields_of(request: Request, max_field_bytes: int) -> Mapping[str, object]:
    """Return the request's fields by name; its files last until it is closed. Raises RemovebgRefusal."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json":
        return await _json_fields(await request.body())
    try:
        form = await request.form(max_part_size=max_field_bytes)
    except HTTPException as error:
        if error.status_code != 400:
            raise
        raise RemovebgRefusal("invalid_request", "The form cannot be read", str(error.detail)) from error
    return _form_fields(form)


async def decoded(text: str) -> UploadFile:
    """Return the file that a base64 field, or a data URL in it, holds. Raises RemovebgRefusal."""
    start = _DATA_URL.match(text)
    try:
        data = await asyncio.to_thread(_decode, text[start.end() :] if start else text)
    except ValueError as error:
        raise invalid("image_file_b64", "It is not base64.") from error
    return UploadFile(io.BytesIO(data), size=len(data), filename="image")


def _decode(text: str) -> bytes:
    """Decode base64 with any white space in it, strip by strip: the decoder lets no other thread run."""
    pieces, rest = [], ""
    for start in range(0, len(text), STRIP_BYTES):
        rest += "".join(text[start : start + STRIP_BYTES].split())
        whole = len(rest) // 4 * 4
        pieces.append(base64.b64decode(rest[:whole], validate=True))
        rest = rest[whole:]
    return b"".join([*pieces, base64.b64decode(rest, validate=True)])


async def _json_fields(body: bytes) -> Mapping[str, object]:
    try:
        fields = await asyncio.to_thread(_parsed, body)
    except ValueError as error:
        title = "The body is not valid JSON, or not a flat object"
        raise RemovebgRefusal("invalid_request", title) from error
    if not isinstance(fields, dict):
        raise RemovebgRefusal("invalid_request", "The body is not a JSON object")
    return fields


def _parsed(body: bytes) -> object:
    """Parse the JSON of an object without others in it. Raises ValueError, at once where it is anything else.

    The parser lets no other thread run, and would make millions of lists, or fall over deep ones.
    """
    marks = 0
    for start in range(0, len(body), STRIP_BYTES):
        strip = body[start : start + STRIP_BYTES]
        marks += sum(map(strip.count, (b"[", b"{", b",")))
        if marks > MAX_MARKS:
            raise ValueError
    return json.loads(body)


def _form_fields(form: FormData) -> Mapping[str, object]:
    fields: dict[str, object] = {}
    for name, value in form.multi_items():
        if name in fields:
            raise invalid(name, f"{name} was sent more than once.")
        fields[name] = value
    return fields
