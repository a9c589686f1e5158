"""Routes of files: originals and results, until they expire."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import FileResponse

from shared.errors import Expired, NotFound
from shared.formats import MEDIA_TYPES
from supervisor.api.dependencies import SpoolDep
from supervisor.api.error_handlers import describe_errors
from supervisor.api.openapi import describe_files
from supervisor.api.responses import StoredFileResponse, format_attachment

router = APIRouter(tags=["files"])
_KINDS: dict[int | str, dict[str, Any]] = {200: {"content": describe_files(*MEDIA_TYPES.values(), "image/*")}}


@router.get(
    "/files/{file_id}", response_class=FileResponse, responses=_KINDS | describe_errors(NotFound, Expired)
)
async def download(file_id: str, spool: SpoolDep) -> FileResponse:
    """The bytes of a file; `Content-Disposition` has its name."""
    stored = spool.file(file_id)
    headers = {"Content-Disposition": format_attachment(stored.download_name)}
    return StoredFileResponse(stored.path, stored.media_type, headers)
