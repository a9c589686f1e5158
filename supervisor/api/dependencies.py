"""FastAPI dependencies: the parts of the container that routes need, the client, and the task in a path."""

from collections import Counter
from dataclasses import replace
from typing import Annotated

from fastapi import Body, Depends, Header, Request
from pydantic import BaseModel, ConfigDict
from typing_extensions import TypedDict

from shared.errors import BadInput
from shared.presets import Presets
from supervisor.api.field_limits import quote_text
from supervisor.api.rate_limit import RateLimiter
from supervisor.api.upload_route import is_image
from supervisor.api.uploads import Submission, Uploads
from supervisor.container import Container
from supervisor.environment.installer import Installer
from supervisor.environment.report import Environment
from supervisor.jobs.dispatcher import Dispatcher
from supervisor.jobs.job import Callback
from supervisor.jobs.spool import Spool
from supervisor.models.registry import Models
from supervisor.settings import Settings
from supervisor.tasks.task import Task
from supervisor.tasks.task_store import TaskStore

MAX_CLIENT_CHARACTERS = 200


class Accepted(TypedDict):
    """The task of a removal."""

    task_id: str


class Started(TypedDict):
    """The task that was started; null if there is nothing to do."""

    task_id: str | None


def _read_container(request: Request) -> Container:
    container: Container = request.app.state.container
    return container


# Coroutines, as all dependencies here are: FastAPI runs others on threads, which downloads may all occupy.
# Each takes the request itself, as FastAPI analyses a dependency of a dependency again for each route.
async def get_container(request: Request) -> Container:
    """Return the application's container."""
    return _read_container(request)


async def get_settings(request: Request) -> Settings:
    """Return the settings."""
    return _read_container(request).settings


async def get_dispatcher(request: Request) -> Dispatcher:
    """Return the dispatcher of removal jobs."""
    return _read_container(request).dispatcher


async def get_tasks(request: Request) -> TaskStore:
    """Return the store of tasks."""
    return _read_container(request).tasks


async def get_spool(request: Request) -> Spool:
    """Return the spool of uploads and results."""
    return _read_container(request).spool


async def get_models(request: Request) -> Models:
    """Return the model registry."""
    return _read_container(request).models


async def get_environment(request: Request) -> Environment:
    """Return the reporter on the Python environment."""
    return _read_container(request).environment


async def get_installs(request: Request) -> Installer:
    """Return the installer of the Python environment."""
    return _read_container(request).installs


async def get_rate_limiter(request: Request) -> RateLimiter:
    """Return the rate limiter of remove.bg's route."""
    limiter: RateLimiter = request.app.state.rate_limiter
    return limiter


async def get_uploads(request: Request) -> Uploads:
    """Return the `Uploads` that accept images and queue their removals."""
    container = _read_container(request)
    return Uploads(
        container.dispatcher,
        container.spool,
        container.idempotency_keys,
        container.models,
        container.metrics,
        container.settings.max_upload_bytes,
    )


async def get_presets(request: Request) -> Presets:
    """Return the presets of removal options."""
    presets: Presets = request.app.state.presets
    return presets


ContainerDep = Annotated[Container, Depends(get_container)]
SettingsDep = Annotated[Settings, Depends(get_settings)]
DispatcherDep = Annotated[Dispatcher, Depends(get_dispatcher)]
TasksDep = Annotated[TaskStore, Depends(get_tasks)]
SpoolDep = Annotated[Spool, Depends(get_spool)]
ModelsDep = Annotated[Models, Depends(get_models)]
EnvironmentDep = Annotated[Environment, Depends(get_environment)]
InstallsDep = Annotated[Installer, Depends(get_installs)]
RateLimiterDep = Annotated[RateLimiter, Depends(get_rate_limiter)]
UploadsDep = Annotated[Uploads, Depends(get_uploads)]
PresetsDep = Annotated[Presets, Depends(get_presets)]


async def get_client(request: Request) -> str:
    """Return the key that identifies a client in the queue's round robin.

    It is the header X-Client-Id, which a gateway sets for its own clients; else one key for all who have the
    service's token; else the client's address.
    """
    client = request.headers.get("x-client-id", "")[:MAX_CLIENT_CHARACTERS]
    if client:
        return f"id {client}"
    if _read_container(request).settings.token is not None:
        return "token"
    return f"address {request.client.host}" if request.client else "unknown"


async def get_task(task_id: str, request: Request) -> Task:
    """Return the task that the path names. Raises NotFound or Expired."""
    return _read_container(request).tasks.get(task_id)


async def reject_query_options(request: Request) -> None:
    """Refuse options in the query string, or sent twice, which would otherwise be ignored silently.

    With an image as the whole body, the query string is the only place for options.
    """
    if request.query_params and not is_image(request.headers.get("content-type", "")):
        name = quote_text(next(iter(request.query_params)))
        raise BadInput(f"The field {name} is not known in the address: it goes into the body.")
    names = Counter(name for name, _ in (await request.form()).multi_items())  # parsed before; empty for JSON
    for name, count in names.most_common(1):
        if count > 1:
            raise BadInput(f"The field {quote_text(name)} came {count} times; it is one.")


class EmptyBody(BaseModel):
    """No body, or an empty JSON object."""

    model_config = ConfigDict(extra="forbid")


ClientDep = Annotated[str, Depends(get_client)]
IdempotencyKeyDep = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[\x21-\x7e]{1,255}$",
        description="the client's id of this request: a repeated request with it gets the same task",
    ),
]


async def get_submission(client: ClientDep, key: IdempotencyKeyDep = None) -> Submission:
    """Return how the request's removal is submitted."""
    return Submission(client, key)


def add_callback(submission: Submission, url: str | None, request: Request) -> Submission:
    """Return the submission with a webhook, whose links are below the address that the client used."""
    if not url:
        return submission
    return replace(submission, callback=Callback(url, str(request.base_url).rstrip("/")))


SubmissionDep = Annotated[Submission, Depends(get_submission)]
TaskDep = Annotated[Task, Depends(get_task)]
NoBody = Annotated[EmptyBody | None, Body()]
BodyOptionsOnly = Depends(reject_query_options)
