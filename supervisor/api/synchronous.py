"""Removals whose client waits for the result itself: none of its files outlives the answer."""

import asyncio
from collections.abc import Mapping

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from supervisor.api.routes.files import StoredFileResponse
from supervisor.container import Container
from supervisor.jobs.spool import Result
from supervisor.jobs.task import Task


class DeleteAfterSendResponse(StoredFileResponse):
    """A result as a response; its files are deleted when it was sent, or could not be."""

    def __init__(self, services: Container, task: Task, headers: Mapping[str, str] | None = None) -> None:
        stored = services.results.get(services.removals.result(task)["result_file_id"])
        super().__init__(stored.path, stored.media_type, headers or {})
        self._services = services
        self._task = task

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file, then forget it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._services.removals.forget(self._task)


async def finish(request: Request, services: Container, task: Task) -> Result:
    """Wait for a removal's end and return its result. Cancel it should the client go away before.

    Raises the error that it failed with. The request's body must have been read.
    """
    gone = asyncio.create_task(_gone(request))
    ended = asyncio.create_task(task.ended())
    try:
        await asyncio.wait((gone, ended), return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        ended.cancel()
        if not task.finished:
            await services.tasks.cancel(task)
    task.raise_failure()
    return services.removals.result(task)


async def _gone(request: Request) -> None:
    """Return when the client has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
