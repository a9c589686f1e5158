"""Task: the state of a long-running action that clients can follow."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

from shared.errors import BgremoveError, Cancelled, error_from
from supervisor.tasks.ids import new_id

LOG_LINES = 200

Status = Literal["queued", "running", "complete", "error"]


class TaskKind(StrEnum):
    """What a task does; the value is the prefix of its id."""

    INSTALL = "envinstall"
    DOWNLOAD = "bgdownload"
    LOAD = "bgload"
    REMOVE = "bgremove"


class TaskPayload(TypedDict):
    """A task as clients see it."""

    task_id: str
    status: Status
    percent: float
    message: str
    logs: list[str]
    code: str | None
    queue_position: Annotated[
        int | None, Field(description="while a removal waits: 1 if it is the next; else null")
    ]


def new_task_id(kind: TaskKind) -> str:
    """Return an id that no other task has."""
    return f"{kind}_{new_id()}"


class Task:
    """The state of one long-running action. Lives on the event loop; every change wakes the followers."""

    def __init__(self, kind: TaskKind, task_id: str | None = None) -> None:
        self.kind = kind
        self.id = task_id or new_task_id(kind)
        self.status: Status = "queued"
        self.percent = 0.0
        self.message = "Waiting"
        self.code: str | None = None
        self.finished_at: float | None = None  # monotonic seconds
        self.cancel: Callable[[], Awaitable[None]] | None = None
        self.cancelling: asyncio.Future[None] | None = None
        self._queue_position: int | None = None
        self._logs: deque[str] = deque(maxlen=LOG_LINES)
        self.version = 0  # counts the changes
        self._followers: set[asyncio.Event] = set()
        self._ended = asyncio.Event()
        self._detached = False

    @property
    def finished(self) -> bool:
        """Whether the task has ended, in success or failure."""
        return self.finished_at is not None

    @property
    def queue_position(self) -> int | None:
        """The position among the waiting removals, 1 for the next one; None for a task that does not wait."""
        return self._queue_position

    @queue_position.setter
    def queue_position(self, position: int | None) -> None:
        if position != self._queue_position:
            self._queue_position = position
            self._notify()

    async def wait(self) -> None:
        """Return when the task has ended."""
        await self._ended.wait()

    def payload(self) -> TaskPayload:
        """Return the task as clients see it."""
        return {
            "task_id": self.id,
            "status": self.status,
            "percent": round(self.percent, 1),
            "message": self.message,
            "logs": list(self._logs),
            "code": self.code,
            "queue_position": self._queue_position,
        }

    def progress(self, percent: float, message: str, *, transient: bool = False) -> None:
        """Report progress. The percentage never falls, and a finished task does not change.

        A `transient` message, one of hundreds alike, is not logged.
        """
        if self.finished:
            return
        self.status = "running"
        self.percent = max(self.percent, min(percent, 100.0))
        if message != self.message and not transient:
            self.log(message)
        self.message = message
        self._notify()

    def log(self, line: str) -> None:
        """Add one line to the task's log."""
        self._logs.append(line)
        self._notify()

    def complete(self, message: str) -> None:
        """Mark the task as succeeded."""
        self.progress(100, message)
        self._finish("complete")

    def fail(self, error: BgremoveError) -> None:
        """Mark the task as failed; one that has finished does not change."""
        if self.finished:
            return
        self.code = error.code
        self.message = error.detail
        self.log(error.detail)
        self._finish("error")

    def _finish(self, status: Status) -> None:
        if not self.finished:
            self.status = status
            self._queue_position = None
            self.finished_at = time.monotonic()
            self._ended.set()
            self._notify()

    def detach(self) -> None:
        """End all streams without a last event: the service ends, and resumes the task after its restart."""
        self._detached = True
        self._ended.set()
        self._notify()

    def _notify(self) -> None:
        self.version += 1
        for follower in self._followers:
            follower.set()

    def run(self, action: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start the task's action. Cancelling the task cancels the action and waits for its end."""
        running = asyncio.create_task(action, name=self.id)
        # An action that is cancelled before its first step never runs, and could not end its task.
        running.add_done_callback(lambda _: self.fail(Cancelled()))

        async def cancel() -> None:
            running.cancel()
            await asyncio.wait([running])

        self.cancel = cancel
        return running

    def raise_failure(self) -> None:
        """Raise the error that the task failed with, if it did."""
        if self.code is not None:
            raise error_from(self.code, self.message)

    async def updates(self, min_interval_s: float) -> AsyncIterator[TaskPayload]:
        """Yield the present state, changes at most once per `min_interval_s`, and the end immediately."""
        changed = asyncio.Event()
        self._followers.add(changed)
        try:
            while True:
                changed.clear()
                last = self.finished
                if self._detached and not last:
                    return
                yield self.payload()
                if last:
                    return
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min_interval_s):  # Python 3.11's wait_for may lose a cancel
                        await self._ended.wait()
                await changed.wait()
        finally:
            self._followers.discard(changed)
