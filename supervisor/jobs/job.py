"""A removal job: plain data that goes to JSON and back, so that it can outlive the process."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.catalog import NO_MODEL
from shared.options import RemovalOptions

# Names of the files in a job's folder; the worker writes the result and the alpha.
SOURCE: Final = "source"
BACKGROUND: Final = "background"
MASK: Final = "mask"
RESULT: Final = "result"
ALPHA: Final = "alpha"  # the matte, kept for edits


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image that is in the job's folder, as the file `name`."""

    name: str


@dataclass(frozen=True, slots=True)
class RemoteImage:
    """An image that is still to be fetched from `url`, which the client sent in the request's `field`."""

    url: str
    field: str


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A client's name for one request, and what tells that request from another one."""

    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Callback:
    """Where the end of a job is POSTed; `base_url` is this service's, as the client addressed it."""

    url: str
    base_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One removal as a client asked for it.

    `file_name` is the image's name as the client knows it. `client` is the client's key in the
    queue's round robin. `attempt` counts the attempts that ended with the worker's death. An `exclusive`
    job runs with no other job on its worker. The client of a `synchronous` one waits for it, and nobody can
    ask for it later. With a `mask`, no model runs. With an `idempotency_key`, a repeated request gets this
    job's task.
    """

    id: str
    options: RemovalOptions
    image: StoredImage | RemoteImage
    background: StoredImage | RemoteImage | None
    file_name: str
    client: str
    submitted_at: datetime  # UTC
    attempt: int = 0
    exclusive: bool = False
    synchronous: bool = False
    idempotency_key: IdempotencyKey | None = None
    callback: Callback | None = None
    mask: StoredImage | RemoteImage | None = None

    @property
    def model(self) -> str:
        """The name of the model that was asked for; "auto" is resolved when the job is dispatched.

        NO_MODEL for a job with a mask.
        """
        return NO_MODEL if self.mask is not None else self.options.model

    @property
    def has_remote_images(self) -> bool:
        """Whether an image is still to be fetched."""
        return any(isinstance(image, RemoteImage) for image in (self.image, self.background, self.mask))
