"""Tasks: every long action a client can follow, and how it is followed."""

import asyncio
import contextlib
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from enum import StrEnum
from typing import Any, Literal

from typing_extensions import TypedDict

from shared.errors import AlreadyFinished, BgremoveError, Cancelled, error_from
from supervisor.jobs.tombstones import Tombstones

LOG_LINES = 200

Status = Literal["queued", "running", "complete", "error"]
# Told how far something is, 0 to 100, and what is being done.
OnProgress = Callable[[float, str], None]


class TaskKind(StrEnum):
    """What a task does; the value starts its id."""

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


class Task:
    """One long action. Lives on the event loop; every change wakes whoever follows it."""

    def __init__(self, kind: TaskKind) -> None:
        self.kind = kind
        self.id = f"{kind}_{uuid.uuid4().hex}"
        self.status: Status = "queued"
        self.percent = 0.0
        self.message = "Waiting"
        self.code: str | None = None
        self.finished_at: float | None = None  # monotonic seconds
        self.cancel: Callable[[], Awaitable[None]] | None = None
        self.cancelling: asyncio.Future[None] | None = None
        self._logs: deque[str] = deque(maxlen=LOG_LINES)
        self._followers: set[asyncio.Event] = set()
        self._ended = asyncio.Event()

    @property
    def finished(self) -> bool:
        """Whether the task has come to its end, good or bad."""
        return self.finished_at is not None

    async def ended(self) -> None:
        """Return when the task has come to its end."""
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
        }

    def progress(self, percent: float, message: str, *, passing: bool = False) -> None:
        """Say how far the task has come. The percentage never falls, and a finished task never moves.

        A `passing` message, one of hundreds alike, is left out of the log.
        """
        if self.finished:
            return
        self.status = "running"
        self.percent = max(self.percent, min(percent, 100.0))
        if message != self.message and not passing:
            self.log(message)
        self.message = message
        self._changed()

    def log(self, line: str) -> None:
        """Add one line to the task's log."""
        self._logs.append(line)
        self._changed()

    def complete(self, message: str) -> None:
        """End the task well."""
        self.progress(100, message)
        self._finish("complete")

    def fail(self, error: BgremoveError) -> None:
        """End the task with an error."""
        if self.finished:
            return
        self.code = error.code
        self.message = error.detail
        self.log(error.detail)
        self._finish("error")

    def _finish(self, status: Status) -> None:
        if not self.finished:
            self.status = status
            self.finished_at = time.monotonic()
            self._ended.set()
            self._changed()

    def _changed(self) -> None:
        for follower in self._followers:
            follower.set()

    def run(self, action: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start what the task is about. A cancel ends it, and waits for its end."""
        running = asyncio.create_task(action, name=self.id)
        # One that is cancelled before its first step never runs, and could not end its task.
        running.add_done_callback(lambda _: self.fail(Cancelled()))

        async def cancel() -> None:
            running.cancel()
            await asyncio.wait([running])

        self.cancel = cancel
        return running

    def raise_failure(self) -> None:
        """Raise the error that the task ended with, if it did."""
        if self.code is not None:
            raise error_from(self.code, self.message)

    async def updates(self, min_interval_s: float) -> AsyncIterator[TaskPayload]:
        """Yield the task now, after changes at most once per `min_interval_s`, and at its end at once."""
        changed = asyncio.Event()
        self._followers.add(changed)
        try:
            while True:
                changed.clear()
                last = self.finished
                yield self.payload()
                if last:
                    return
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min_interval_s):  # Python 3.11's wait_for may lose a cancel
                        await self._ended.wait()
                await changed.wait()
        finally:
            self._followers.discard(changed)


class TaskStore:
    """Every task still known. Finished ones are forgotten after the retention, their ids a while later."""

    def __init__(self, retention_s: float) -> None:
        self._retention_s = retention_s
        self._tasks: dict[str, Task] = {}
        self._forgotten = Tombstones("task")

    def __iter__(self) -> Iterator[Task]:
        """Iterate over the known tasks, newest first."""
        return reversed(self._tasks.values())

    def create(self, kind: TaskKind) -> Task:
        """Make a new queued task."""
        task = Task(kind)
        self._tasks[task.id] = task
        return task

    def get(self, task_id: str) -> Task:
        """Return the task of that id. Raises NotFound, or Expired for one that was forgotten."""
        if task_id in self._tasks:
            return self._tasks[task_id]
        raise self._forgotten.error(task_id)

    def forget(self, task: Task) -> None:
        """Take back a task that never came to life."""
        self._tasks.pop(task.id, None)

    async def cancel(self, task: Task) -> None:
        """Cancel a task and wait for its end. Raises AlreadyFinished."""
        if task.finished:
            raise AlreadyFinished
        if task.cancel is not None:
            if task.cancelling is None:
                task.cancelling = asyncio.ensure_future(task.cancel())
            # Shielded: who asks a second time, or goes away, must not end the waiting that the first began.
            await asyncio.shield(task.cancelling)
        task.fail(Cancelled())

    def expire(self) -> list[Task]:
        """Forget the tasks that finished longer than the retention ago, and return them."""
        deadline = time.monotonic() - self._retention_s
        old = [task for task in self if task.finished_at is not None and task.finished_at <= deadline]
        for task in old:
            del self._tasks[task.id]
            self._forgotten.add(task.id)
        return old
