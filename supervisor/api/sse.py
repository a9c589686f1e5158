"""Server-sent events: a task's progress as a stream."""

import time
from collections.abc import AsyncIterable
from typing import Annotated, Any

from fastapi import Header, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from shared.errors import Expired, NotFound
from supervisor.api.error_handlers import describe_errors
from supervisor.tasks.task import Task

END = "end"  # the id of a stream's last event
STARTED = (
    f"{time.time_ns() // 1_000_000:x}"  # distinguishes this process's events from those before a restart
)
RETRY_MS = 1000  # after which a browser reconnects to a stream that broke off


STREAM_RESPONSES: dict[int | str, dict[str, Any]] = {
    **describe_errors(NotFound, Expired),
    204: {"description": "The client has had the last event."},
}


class StreamEnded(Exception):
    """A client asks for the events after a stream's last one."""


async def refuse_ended(last_event_id: Annotated[str | None, Header()] = None) -> None:
    """Answer 204, which ends an `EventSource`, to one that has had the last event. Raises StreamEnded.

    Source: HTML, 9.2.3: "Clients will reconnect [...] if the connection is closed", but for status 204.
    """
    if last_event_id == END:
        raise StreamEnded


async def answer_no_content(_request: Request, _error: Exception) -> Response:
    """Return the response to StreamEnded."""
    return Response(status_code=204)


class EventStream(EventSourceResponse):
    """A stream of events. Its errors are JSON; OpenAPI would give them the media type of a stream."""

    media_type = None  # type: ignore[assignment]  # as of responses that choose it themselves


async def stream_events(task: Task, interval_s: float) -> AsyncIterable[ServerSentEvent]:
    """Yield a task's present state, then changes, at most one every `interval_s`, and its end immediately."""
    async for update in task.updates(interval_s):
        number = END if update["status"] in ("complete", "error") else f"{STARTED}.{task.version}"
        yield ServerSentEvent(data=update, id=number, retry=RETRY_MS)
