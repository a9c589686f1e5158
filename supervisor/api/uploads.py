"""Accepts the images of a request, saves them in the spool, and submits the removal job."""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO

from starlette.datastructures import UploadFile

from shared.errors import BadInput, Expired, NotAnImage, Stopping, UploadTooLarge
from shared.formats import SIGNATURE_BYTES, detect_format
from shared.option_validation import validate_options
from shared.options import RemovalOptions
from supervisor.api.linkable_file import LinkableFile
from supervisor.jobs.dispatcher import Dispatcher
from supervisor.jobs.filenames import sanitize_name
from supervisor.jobs.idempotency import IdempotencyKeys
from supervisor.jobs.image_fetch import in_field
from supervisor.jobs.job import (
    BACKGROUND,
    MASK,
    SOURCE,
    Callback,
    IdempotencyKey,
    Job,
    RemoteImage,
    StoredImage,
)
from supervisor.jobs.spool import SaveImage, Spool
from supervisor.models.registry import Models
from supervisor.net.url_fetch import check_url
from supervisor.observability.metrics import Metrics
from supervisor.tasks.task import Task, TaskKind, new_task_id


@dataclass(frozen=True, slots=True)
class InputImage:
    """An image of a request's `field`: the file itself, its URL, or the path of one of a finished job.

    `name` is the file's, if it is not the upload's own.
    """

    field: str
    content: UploadFile | str | Path
    name: str | None = None

    @property
    def file_name(self) -> str:
        """The image's name; "image" for one that is still to be fetched."""
        if isinstance(self.content, UploadFile):
            return sanitize_name(self.content.filename or "")
        return self.name or "image"

    def to_reference(self, name: str) -> StoredImage | RemoteImage:
        """Return the job's reference to the image, whose file in the job's folder is `name`."""
        return RemoteImage(self.content, self.field) if isinstance(self.content, str) else StoredImage(name)

    def describe(self) -> str | list[str | int | None]:
        """Return what tells the image from another one in a repeated request."""
        if isinstance(self.content, UploadFile):
            return [self.file_name, self.content.size]
        return self.content if isinstance(self.content, str) else [self.content.parent.name]


@dataclass(frozen=True, slots=True)
class Submission:
    """How a removal is submitted: the client's key in the queue, and what it wants besides the result.

    `key` is its idempotency key. The client of a `synchronous` removal waits for it.
    """

    client: str
    key: str | None = None
    callback: Callback | None = None
    synchronous: bool = False


class Uploads:
    """Accepts removals. Images of more than `max_bytes` are refused."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        spool: Spool,
        keys: IdempotencyKeys,
        models: Models,
        metrics: Metrics,
        max_bytes: int,
    ) -> None:
        self._dispatcher = dispatcher
        self._spool = spool
        self._keys = keys
        self._models = models
        self._metrics = metrics
        self._max_bytes = max_bytes

    async def accept(
        self,
        options: RemovalOptions,
        image: InputImage,
        submission: Submission,
        background: InputImage | None = None,
        mask: InputImage | None = None,
    ) -> Task:
        """Queue the removal of an image's background, and return its task. With a `mask`, no model runs.

        Remote images are fetched as the job's first step. A request with the idempotency key of an earlier
        one gets that one's task. Raises InvalidOption, UnknownModel, ModelUnavailable, UploadTooLarge,
        NotAnImage, UrlRefused, StorageFailed, IdempotencyKeyReused, and what `Dispatcher.submit` raises.
        """
        validate_options(options, has_background_file=background is not None)
        await self._check(image)
        if (callback := submission.callback) is not None:
            check_url(callback.url, "callback_url")
        images = {SOURCE: image}
        for name, further in ((BACKGROUND, background), (MASK, mask)):
            if further is not None:
                images[name] = further
                try:
                    await self._check(further)
                except BadInput as error:
                    raise in_field(further.field, error) from error
        key = None
        if submission.key is not None:
            key = IdempotencyKey(submission.key, fingerprint(options, images, callback))
        job = Job(
            id=new_task_id(TaskKind.REMOVE),
            options=options,
            image=image.to_reference(SOURCE),
            background=None if background is None else background.to_reference(BACKGROUND),
            mask=None if mask is None else mask.to_reference(MASK),
            file_name=image.file_name,
            client=submission.client,
            submitted_at=datetime.now(UTC),
            synchronous=submission.synchronous,
            idempotency_key=key,
            callback=callback,
        )
        return await self._keys.accept_once(
            job.client, job.idempotency_key, lambda: self._submit(job, images)
        )

    async def _submit(self, job: Job, images: Mapping[str, InputImage]) -> Task:
        await self._models.check_available(job.model)
        saves: dict[str, SaveImage] = {}
        for name, image in images.items():
            if isinstance(image.content, UploadFile):
                saves[name] = partial(_save, image.content.file)
            elif isinstance(image.content, Path):
                saves[name] = partial(_link, image.content)
        try:
            await self._spool.accept(job, saves)
            task = self._dispatcher.submit(job)
        except BaseException:  # a cancel too: the files would stay until the service ends
            await self._spool.delete(job.id)
            raise
        await self._sync(job, task, saves)
        if isinstance(source := images[SOURCE].content, UploadFile):
            self._metrics.count_received_bytes("upload", source.size or 0)
        return task

    async def _sync(self, job: Job, task: Task, names: Iterable[str]) -> None:
        """Wait until the job is safe on the disk. Raises StorageFailed.

        A job whose client gets an error, such as one whose request the shutdown cancels, must not run after a
        restart: it is cancelled and deleted.
        """
        try:
            await self._spool.sync_accepted(job, names)
        except BaseException:
            try:
                await self._withdraw(task)
            finally:
                await self._spool.delete(job.id)
            raise

    async def _withdraw(self, task: Task) -> None:
        """Cancel a job, and return when nothing uses its files any more."""
        if not task.finished and task.cancel is not None:
            with contextlib.suppress(Stopping):  # the dispatcher is closing, and leaves the job in the spool
                await task.cancel()
        await task.wait()

    async def _check(self, image: InputImage) -> None:
        """Reject an image early: raise UrlRefused for its URL, UploadTooLarge or NotAnImage for its file."""
        if isinstance(image.content, str):
            check_url(image.content)
        if not isinstance(image.content, UploadFile):
            return
        if image.content.size is not None and image.content.size > self._max_bytes:
            raise UploadTooLarge
        if detect_format(await image.content.read(SIGNATURE_BYTES)) is None:
            raise NotAnImage
        await image.content.seek(0)


def fingerprint(options: RemovalOptions, images: Mapping[str, InputImage], callback: Callback | None) -> str:
    """Return a digest of a request, for comparisons; without the images' content, which may be large.

    Options at their defaults are left out: a later version, with more options, has to give the same digest.
    """
    values, defaults = asdict(options), asdict(RemovalOptions())
    request = {
        "options": {name: value for name, value in values.items() if value != defaults[name]},
        "images": {name: image.describe() for name, image in images.items()},
        "callback_url": None if callback is None else callback.url,
    }
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()


def _save(file: IO[bytes], target: Path) -> None:
    """Save an upload as `target`: linked where it is a file on the same file system, else copied."""
    if isinstance(file, LinkableFile):
        file.save_as(target)
        return
    with target.open("wb") as copy:
        shutil.copyfileobj(file, copy, 1024**2)


def _link(file: Path, target: Path) -> None:
    """Link or copy a file of a finished job. Raises Expired if it has been deleted."""
    try:
        try:
            os.link(file, target)
        except FileNotFoundError:
            raise
        except OSError:  # a file system without links
            shutil.copyfile(file, target)
    except FileNotFoundError as error:
        raise Expired from error
