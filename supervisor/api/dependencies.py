"""FastAPI dependencies: the parts of the container that routes need, the client, and the task in a path."""

from collections import Counter
from typing import Annotated

from fastapi import Body, Depends, Request
from pydantic import BaseModel, ConfigDict
from typing_extensions import TypedDict

from shared.errors import BadInput
from supervisor.api.field_limits import quote_text
from supervisor.api.multipart import is_image
from supervisor.api.uploads import Uploads
from supervisor.container import Container
from supervisor.environment.installer import Installer
from supervisor.environment.report import Environment
from supervisor.jobs.dispatcher import Dispatcher
from supervisor.jobs.spool import Spool
from supervisor.models.downloads import Downloads
from supervisor.models.registry import Models
from supervisor.models.store import ModelStore
from supervisor.settings import Settings
from supervisor.tasks.task import Task, TaskStore

MAX_CLIENT_CHARACTERS = 200


class Accepted(TypedDict):
    """The task that was started; null if there is nothing to do."""

    task_id: str | None


# Coroutines, as all dependencies here are: FastAPI runs others on threads, which downloads may all occupy.
async def get_container(request: Request) -> Container:
    """Return the application's container."""
    container: Container = request.app.state.container
    return container


ContainerDep = Annotated[Container, Depends(get_container)]


async def get_settings(container: ContainerDep) -> Settings:
    """Return the settings."""
    return container.settings


async def get_dispatcher(container: ContainerDep) -> Dispatcher:
    """Return the dispatcher of removal jobs."""
    return container.dispatcher


async def get_tasks(container: ContainerDep) -> TaskStore:
    """Return the store of tasks."""
    return container.tasks


async def get_spool(container: ContainerDep) -> Spool:
    """Return the spool of uploads and results."""
    return container.spool


async def get_models(container: ContainerDep) -> Models:
    """Return the model registry."""
    return container.models


async def get_model_store(container: ContainerDep) -> ModelStore:
    """Return the store of BiRefNet's files."""
    return container.model_store


async def get_downloads(container: ContainerDep) -> Downloads:
    """Return the downloads of BiRefNet."""
    return container.downloads


async def get_environment(container: ContainerDep) -> Environment:
    """Return the Python environment."""
    return container.environment


async def get_installs(container: ContainerDep) -> Installer:
    """Return the installs into the Python environment."""
    return container.installs


async def get_uploads(container: ContainerDep) -> Uploads:
    """Return what accepts images and queues their removals."""
    return Uploads(
        container.dispatcher, container.spool, container.metrics, container.settings.max_upload_bytes
    )


SettingsDep = Annotated[Settings, Depends(get_settings)]
DispatcherDep = Annotated[Dispatcher, Depends(get_dispatcher)]
TasksDep = Annotated[TaskStore, Depends(get_tasks)]
SpoolDep = Annotated[Spool, Depends(get_spool)]
ModelsDep = Annotated[Models, Depends(get_models)]
ModelStoreDep = Annotated[ModelStore, Depends(get_model_store)]
DownloadsDep = Annotated[Downloads, Depends(get_downloads)]
EnvironmentDep = Annotated[Environment, Depends(get_environment)]
InstallsDep = Annotated[Installer, Depends(get_installs)]
UploadsDep = Annotated[Uploads, Depends(get_uploads)]


async def get_client(request: Request, settings: SettingsDep) -> str:
    """Return the key that identifies a client in the queue's round robin.

    It is the header X-Client-Id, which a gateway sets for its own clients; else one key for all who have the
    service's token; else the client's address.
    """
    client = request.headers.get("x-client-id", "")[:MAX_CLIENT_CHARACTERS]
    if client:
        return f"id {client}"
    if settings.token is not None:
        return "token"
    return f"address {request.client.host}" if request.client else "unknown"


async def get_task(task_id: str, tasks: TasksDep) -> Task:
    """Return the task that the path names. Raises NotFound or Expired."""
    return tasks.get(task_id)


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
TaskDep = Annotated[Task, Depends(get_task)]
NoBody = Annotated[EmptyBody | None, Body()]
BodyOptionsOnly = Depends(reject_query_options)
