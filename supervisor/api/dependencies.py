"""What routers share: how they reach the services and the task that a path names."""

from collections import Counter
from collections.abc import AsyncIterable
from typing import Annotated

from fastapi import Body, Depends, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, ConfigDict
from typing_extensions import TypedDict

from shared.errors import BadInput
from supervisor.container import Container
from supervisor.jobs.task import Task

RETRY_MS = 1000  # after which a browser connects again to a stream that broke off


# A coroutine, as all dependencies here are: FastAPI calls others on threads, which downloads may hold.
async def _services(request: Request) -> Container:
    services: Container = request.app.state.services
    return services


class Accepted(TypedDict):
    """The task that was started; null where nothing needs doing."""

    task_id: str | None


Supervisor = Annotated[Container, Depends(_services)]


async def _known_task(task_id: str, services: Supervisor) -> Task:
    return services.tasks.get(task_id)


async def _asks_in_the_body(request: Request) -> None:
    """Refuse options in the address, or twice: their clients would think that they were honoured."""
    if request.query_params:
        name = next(iter(request.query_params))
        raise BadInput(f"The field {name!r} is not known in the address: it goes into the body.")
    names = Counter(name for name, _ in (await request.form()).multi_items())  # read already; of JSON, empty
    for name, count in names.most_common(1):
        if count > 1:
            raise BadInput(f"The field {name!r} came {count} times; it is one.")


class Nothing(BaseModel):
    """No body, or an empty one."""

    model_config = ConfigDict(extra="forbid")


class EventStream(EventSourceResponse):
    """A stream of events. Its errors are JSON; the reference would give them the type that a stream has."""

    media_type = None  # type: ignore[assignment]  # as of responses that choose it themselves


async def task_events(task: Task, interval_s: float) -> AsyncIterable[ServerSentEvent]:
    """Yield a task's state now, then its changes, at most one every `interval_s`, and its end at once."""
    number = 0
    async for update in task.updates(interval_s):
        number += 1
        yield ServerSentEvent(data=update, id=str(number), retry=RETRY_MS)


AsksInTheBody = Depends(_asks_in_the_body)
NoBody = Annotated[Nothing | None, Body()]
KnownTask = Annotated[Task, Depends(_known_task)]
