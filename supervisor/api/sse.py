"""Server-sent events: a task's progress as a stream."""

from collections.abc import AsyncIterable

from fastapi.sse import EventSourceResponse, ServerSentEvent

from supervisor.tasks.task import Task

RETRY_MS = 1000  # after which a browser reconnects to a stream that broke off


class EventStream(EventSourceResponse):
    """A stream of events. Its errors are JSON; OpenAPI would give them the media type of a stream."""

    media_type = None  # type: ignore[assignment]  # as of responses that choose it themselves


async def task_events(task: Task, interval_s: float) -> AsyncIterable[ServerSentEvent]:
    """Yield a task's present state, then changes, at most one every `interval_s`, and its end immediately."""
    number = 0
    async for update in task.updates(interval_s):
        number += 1
        yield ServerSentEvent(data=update, id=str(number), retry=RETRY_MS)
