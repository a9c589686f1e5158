"""What routers share: how they reach the services and the task that a path names."""

from typing import Annotated

from fastapi import Depends, Request
from typing_extensions import TypedDict

from supervisor.services import Services
from supervisor.tasks import Task


# A coroutine, as all dependencies here are: FastAPI calls others on threads, which downloads may hold.
async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


class Accepted(TypedDict):
    """The task that was started; null where nothing needs doing."""

    task_id: str | None


Supervisor = Annotated[Services, Depends(_services)]


async def _known_task(task_id: str, services: Supervisor) -> Task:
    return services.tasks.get(task_id)


KnownTask = Annotated[Task, Depends(_known_task)]
