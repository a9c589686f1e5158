"""Files: originals and results, while they last."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from fastapi.responses import FileResponse
from starlette.types import Receive, Scope, Send

from shared.errors import Expired, NotFound
from shared.formats import MEDIA_TYPES
from supervisor.api.dependencies import Supervisor
from supervisor.api.error_handlers import error_responses

_RANGE = re.compile(r"(?P<first>\d{1,18})-(?P<last>\d{0,18})|-\d{1,18}")
_MAX_RANGES = 10


class StoredFileResponse(FileResponse):
    """One of a removal's files, for its own client and no cache.

    Sent in pieces large enough that a photo takes a few trips to the disk, not hundreds. Raises Expired for
    one that went a moment ago: the framework would tell of a fault of the service.
    """

    chunk_size = 1024**2

    def __init__(self, path: Path, media_type: str, headers: Mapping[str, str]) -> None:
        private = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-store"}
        try:
            stat = path.stat()
        except FileNotFoundError as error:
            raise Expired from error
        super().__init__(path, media_type=media_type, headers={**private, **headers}, stat_result=stat)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file, or parts of it."""
        kept = [(k, v) for k, v in scope["headers"] if k != b"range" or is_range(v.decode("latin-1"))]
        await super().__call__({**scope, "headers": kept}, receive, send)


def is_range(text: str) -> bool:
    """Whether a `Range` header is one of bytes; what is invalid is as good as none (RFC 9110, 14.1, 14.2)."""
    unit, _, asked = text.partition("=")
    parts = [_RANGE.fullmatch(part.strip()) for part in asked.split(",", _MAX_RANGES)]
    return unit.strip().lower() == "bytes" and all(
        part and not (part["last"] and int(part["first"]) > int(part["last"])) for part in parts
    )


def attachment(name: str) -> str:
    """Return the `Content-Disposition` of a file to keep under `name` (RFC 6266).

    Twice: in ASCII for those who read no more, such as curl, and whole.
    """
    plain = re.sub(r"[^ !#-\[\]-~]", "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


router = APIRouter(tags=["files"])
_KINDS: dict[int | str, dict[str, Any]] = {
    200: {"content": {kind: {} for kind in (*MEDIA_TYPES.values(), "image/*")}}
}


@router.get(
    "/files/{file_id}", response_class=FileResponse, responses=_KINDS | error_responses(NotFound, Expired)
)
async def download(file_id: str, services: Supervisor) -> FileResponse:
    """The bytes of a file; `Content-Disposition` has its name."""
    stored = services.results.get(file_id)
    headers = {"Content-Disposition": attachment(stored.download_name)}
    return StoredFileResponse(stored.path, stored.media_type, headers)
