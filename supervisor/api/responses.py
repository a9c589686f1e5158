"""Responses with files of the spool."""

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from fastapi.responses import FileResponse
from starlette.types import Receive, Scope, Send

from shared.errors import Expired

_RANGE = re.compile(r"(?P<first>\d{1,18})-(?P<last>\d{0,18})|-\d{1,18}")
_MAX_RANGES = 10


class StoredFileResponse(FileResponse):
    """Response with a file of the spool, which no cache may store.

    Sent in chunks so large that a photo takes a few reads of the disk, not hundreds. Raises Expired for a
    file that was deleted a moment ago, which the framework would report as a fault of the service.
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
        """Send the file, or ranges of it."""
        kept = [(k, v) for k, v in scope["headers"] if k != b"range" or is_range(v.decode("latin-1"))]
        await super().__call__({**scope, "headers": kept}, receive, send)


def is_range(text: str) -> bool:
    """Whether a `Range` header is one of bytes; an invalid one is ignored (RFC 9110, 14.1, 14.2)."""
    unit, _, ranges = text.partition("=")
    parts = [_RANGE.fullmatch(part.strip()) for part in ranges.split(",", _MAX_RANGES)]
    return unit.strip().lower() == "bytes" and all(
        part and not (part["last"] and int(part["first"]) > int(part["last"])) for part in parts
    )


def format_attachment(name: str) -> str:
    """Return the `Content-Disposition` of a file to be saved as `name` (RFC 6266).

    The name is given twice: in ASCII for clients that read no more, such as curl, and in full.
    """
    plain = re.sub(r"[^ !#-\[\]-~]", "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
