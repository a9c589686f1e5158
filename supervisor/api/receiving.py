"""Photos on their way in: from a request's file or an address, into a removal's folder and the queue."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path
from typing import IO

from starlette.datastructures import UploadFile

from shared.errors import NotAnImage, StorageFailed, UploadTooLarge
from shared.formats import SIGNATURE_BYTES, sniff
from shared.model_files import size_of
from shared.options import RemovalOptions
from supervisor.names import safe_name
from supervisor.services import Services
from supervisor.tasks import Task
from supervisor.url_fetch import check_url, fetch


async def start_upload(
    services: Services, photo: UploadFile, options: RemovalOptions, background: UploadFile | None = None
) -> Task:
    """Queue the removal of a file that came with a request, and return its task.

    `background` is an image to put behind. Raises UploadTooLarge, NotAnImage, StorageFailed and what
    `Removals.admit` raises.
    """
    max_bytes = services.settings.max_upload_bytes
    await _check(photo, max_bytes)
    name = safe_name(photo.filename or "")
    if background is not None:
        await _check(background, max_bytes, "background_file")
        options = replace(options, background_file=safe_name(background.filename or ""))
    removal = services.removals.admit(options)
    try:
        await asyncio.to_thread(_store, photo.file, removal.source)
        if background is not None:
            await asyncio.to_thread(_store, background.file, removal.background)
    except OSError as error:
        await services.removals.abandon(removal)
        raise StorageFailed("The temporary folder cannot take the upload.") from error
    services.metrics.received("upload", photo.size or 0)

    async def uploaded() -> str:
        return name

    return services.removals.start(removal, uploaded)


def start_fetch(services: Services, address: str, options: RemovalOptions) -> Task:
    """Queue the removal of the photo at an address, fetched as its first step, and return its task.

    Raises UrlRefused and what `Removals.admit` raises.
    """
    check_url(address)
    removal = services.removals.admit(options)
    settings = services.settings

    async def fetched() -> str:
        removal.task.progress(0, "Fetching the image")
        try:
            name = await fetch(
                address,
                removal.source,
                max_bytes=settings.max_upload_bytes,
                allow_private=settings.url_allow_private,
            )
        except OSError as error:
            raise StorageFailed("The temporary folder cannot take the image.") from error
        services.metrics.received("url", size_of(removal.source))
        return name

    return services.removals.start(removal, fetched)


async def _check(image: UploadFile, max_bytes: int, field: str | None = None) -> None:
    """Raise UploadTooLarge or NotAnImage, naming the form's `field` where it is not the photo's."""
    where = f"The field '{field}' is not valid: " if field else ""
    if image.size is not None and image.size > max_bytes:
        raise UploadTooLarge(f"{where}{UploadTooLarge().detail}")
    if sniff(await image.read(SIGNATURE_BYTES)) is None:
        raise NotAnImage(f"{where}{NotAnImage().detail}")
    await image.seek(0)


def _store(source: IO[bytes], target: Path) -> None:
    with target.open("wb") as file:
        shutil.copyfileobj(source, file, 1024**2)
