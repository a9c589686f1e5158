"""Synchronous removals: the client waits for the result itself, and no file outlives the response."""

import asyncio
from collections.abc import Mapping

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from shared.options import RemovalOptions
from supervisor.api.dependencies import ClientDep, SpoolDep, TasksDep, UploadsDep
from supervisor.api.refusal_log import LOGGED_FLAG
from supervisor.api.responses import StoredFileResponse
from supervisor.api.uploads import InputImage, Submission
from supervisor.jobs.published import StoredFile
from supervisor.jobs.result import Result
from supervisor.jobs.spool import Spool


class SynchronousRemoval:
    """One removal within one request; a FastAPI dependency."""

    def __init__(
        self, request: Request, uploads: UploadsDep, tasks: TasksDep, spool: SpoolDep, client: ClientDep
    ) -> None:
        self._request = request
        self._uploads = uploads
        self._tasks = tasks
        self._spool = spool
        self._client = client

    async def run(
        self, options: RemovalOptions, image: InputImage, background: InputImage | None = None
    ) -> Result:
        """Queue a removal, wait for its end, and return its result. Cancel it if the client disconnects.

        Raises what `Uploads.accept` raises, and the error that the removal failed with.
        """
        try:
            task = await self._uploads.accept(
                options, image, Submission(self._client, synchronous=True), background
            )
        finally:
            await self._request.close()  # the uploaded files are in the spool
        disconnected = asyncio.create_task(self._wait_for_disconnect())
        ended = asyncio.create_task(task.wait())
        try:
            done, _ = await asyncio.wait((disconnected, ended), return_when=asyncio.FIRST_COMPLETED)
        finally:
            disconnected.cancel()
            ended.cancel()
            if not task.finished:
                await self._tasks.cancel(task)
        if disconnected in done:
            disconnected.result()  # raises what made the rest of the request unreadable
        self._request.scope[LOGGED_FLAG] = True
        task.raise_failure()
        return self._spool.result(task.id)

    def respond(self, result: Result, headers: Mapping[str, str] | None = None) -> "DeleteAfterSendResponse":
        """Return a response with the result's file, which is deleted afterwards."""
        return DeleteAfterSendResponse(self._spool, result, self.get_file(result), headers or {})

    def get_file(self, result: Result) -> StoredFile:
        """Return the result's file. Raises Expired."""
        return self._spool.file(result["result_file_id"])

    async def delete(self, result: Result) -> None:
        """Delete the result's files, for a response that does not send them."""
        await self._spool.delete(result["task_id"])

    async def _wait_for_disconnect(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass


class DeleteAfterSendResponse(StoredFileResponse):
    """Response with a result; its job's files are deleted once it was sent, or sending failed."""

    def __init__(self, spool: Spool, result: Result, stored: StoredFile, headers: Mapping[str, str]) -> None:
        super().__init__(stored.path, stored.media_type, headers)
        self._spool = spool
        self._job_id = result["task_id"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file, then delete it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._spool.delete(self._job_id)
