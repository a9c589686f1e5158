"""Images on their way in: from a request's file or an address, into a removal's folder and the queue."""

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from starlette.datastructures import UploadFile

from shared.errors import BadInput, NotAnImage, StorageFailed, UploadTooLarge
from shared.formats import SIGNATURE_BYTES, detect_format
from shared.hub_cache import file_size
from shared.options import RemovalOptions
from supervisor.container import Container
from supervisor.jobs.filenames import sanitize_name
from supervisor.jobs.task import Task
from supervisor.net.public_addresses import GuardedBackend
from supervisor.net.url_fetch import check_url, fetch


@dataclass(frozen=True, slots=True)
class Sent:
    """An image that a client sent in the request's `field`: the file itself, or the address where it lies."""

    field: str
    image: UploadFile | str

    @property
    def name(self) -> str:
        """What a person knows the file by; "image" for one that is still to be fetched."""
        return "image" if isinstance(self.image, str) else sanitize_name(self.image.filename or "")


async def start(
    services: Container, options: RemovalOptions, photo: Sent, behind: Sent | None = None
) -> Task:
    """Queue the removal of a photo, with an image to put behind if there is one, and return its task.

    What lies at an address is fetched as the removal's first step. Raises UploadTooLarge, NotAnImage,
    UrlRefused, StorageFailed and what `Removals.admit` raises.
    """
    await _check(photo, services)
    if behind is not None:
        try:
            await _check(behind, services)
        except BadInput as error:
            raise _in_field(behind, error) from error
    removal = services.removals.admit(options, has_background_file=behind is not None)
    try:
        await _store(photo, removal.source)
        if behind is not None:
            await _store(behind, removal.background)
    except BaseException as error:  # whatever it is, a cancel too, would hold the place for ever
        await services.removals.abandon(removal)
        if isinstance(error, OSError):
            raise StorageFailed("The temporary folder cannot take the upload.") from error
        raise
    if not isinstance(photo.image, str):
        services.metrics.received("upload", photo.image.size or 0)

    async def fetched() -> str:
        name = await _fetch(photo, removal.source, services, removal.task)
        if behind is not None:
            try:
                await _fetch(behind, removal.background, services, removal.task)
            except BadInput as error:
                raise _in_field(behind, error) from error
        return name

    return services.removals.start(removal, fetched)


async def _check(sent: Sent, services: Container) -> None:
    """Raise UrlRefused for an address, UploadTooLarge or NotAnImage for a file, that need not be tried."""
    if isinstance(sent.image, str):
        check_url(sent.image)
        return
    if sent.image.size is not None and sent.image.size > services.settings.max_upload_bytes:
        raise UploadTooLarge
    if detect_format(await sent.image.read(SIGNATURE_BYTES)) is None:
        raise NotAnImage
    await sent.image.seek(0)


async def _store(sent: Sent, target: Path) -> None:
    """Write a file that came with the request; what lies at an address is not there yet."""
    if not isinstance(sent.image, str):
        await asyncio.to_thread(_copy, sent.image.file, target)


async def _fetch(sent: Sent, target: Path, services: Container, task: Task) -> str:
    """Bring what lies at an address, and return the image's name."""
    if not isinstance(sent.image, str):
        return sent.name
    task.progress(0, "Fetching the image")
    settings = services.settings
    try:
        anywhere = GuardedBackend(allow=lambda _: True) if settings.url_allow_private else None
        name = await fetch(sent.image, target, max_bytes=settings.max_upload_bytes, backend=anywhere)
    except OSError as error:
        raise StorageFailed("The temporary folder cannot take the image.") from error
    services.metrics.received("url", file_size(target))
    return name


def _in_field(sent: Sent, error: BadInput) -> BadInput:
    """Return the same error, saying which of the images it is about."""
    return type(error)(f"The field {sent.field!r} is not valid: {error.detail}")


def _copy(source: IO[bytes], target: Path) -> None:
    with target.open("wb") as file:
        shutil.copyfileobj(source, file, 1024**2)
