"""Files: originals and results, while they last."""

from fastapi import APIRouter
from fastapi.responses import FileResponse

from supervisor.api.common import Supervisor


class WholeFile(FileResponse):
    """A file sent in pieces large enough that a photo takes a few trips to the disk, not hundreds."""

    chunk_size = 1024**2


router = APIRouter(tags=["files"])


@router.get("/files/{file_id}", response_class=FileResponse)
async def download(file_id: str, services: Supervisor) -> FileResponse:
    """The bytes of a file."""
    stored = services.results.get(file_id)
    return WholeFile(
        stored.path,
        media_type=stored.media_type,
        filename=stored.download_name,
        headers={"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-store"},
    )
