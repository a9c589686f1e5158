"""Fetches the remote images of a job into its folder."""

from dataclasses import replace
from pathlib import Path

from shared.errors import BadInput, BgremoveError, StorageFailed
from shared.hub_cache import file_size
from supervisor.jobs.job import BACKGROUND, MASK, SOURCE, Job, RemoteImage, StoredImage
from supervisor.jobs.spool import Spool
from supervisor.net.ssrf_protection import GuardedBackend
from supervisor.net.url_fetch import fetch
from supervisor.observability.metrics import Metrics


class ImageFetcher:
    """Fetches images by URL, of `max_bytes` at most; from private networks only if `allow_private`."""

    def __init__(self, spool: Spool, metrics: Metrics, max_bytes: int, *, allow_private: bool) -> None:
        self._spool = spool
        self._metrics = metrics
        self._max_bytes = max_bytes
        self._allow_private = allow_private

    async def fetch_images(self, job: Job) -> Job:
        """Fetch a job's remote images, and return the job with stored ones in their place.

        Raises UrlRefused, UrlFailed, UploadTooLarge, NotAnImage or StorageFailed.
        """
        if isinstance(job.image, RemoteImage):
            file_name = await self._fetch(job.image, self._spool.path(job.id, SOURCE))
            job = replace(job, image=StoredImage(SOURCE), file_name=file_name)
        if isinstance(job.background, RemoteImage):
            await self._fetch_further(job.background, self._spool.path(job.id, BACKGROUND))
            job = replace(job, background=StoredImage(BACKGROUND))
        if isinstance(job.mask, RemoteImage):
            await self._fetch_further(job.mask, self._spool.path(job.id, MASK))
            job = replace(job, mask=StoredImage(MASK))
        return job

    async def _fetch_further(self, image: RemoteImage, target: Path) -> None:
        try:
            await self._fetch(image, target)
        except BadInput as error:
            raise in_field(image.field, error) from error

    async def _fetch(self, image: RemoteImage, target: Path) -> str:
        backend = GuardedBackend(allow=lambda _: True) if self._allow_private else None
        try:
            file_name = await fetch(image.url, target, max_bytes=self._max_bytes, backend=backend)
        except OSError as error:
            raise StorageFailed("The temporary folder cannot take the image.") from error
        self._metrics.count_received_bytes("url", file_size(target))
        return file_name


def in_field(field: str, error: BadInput) -> BadInput:
    """Return the same error with the name of the request's field that caused it."""
    return type(error)(f"{_prefix(field)}{error.detail}")


def is_in_field(field: str, error: BgremoveError) -> bool:
    """Whether `in_field` made the error, for that field; also after it crossed a process boundary."""
    return error.detail.startswith(_prefix(field))


def _prefix(field: str) -> str:
    return f"The field {field!r} is not valid: "
