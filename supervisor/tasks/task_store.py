"""Task store: the known tasks, until they expire."""

import asyncio
import time
from collections.abc import Iterator

from shared.errors import AlreadyFinished, Cancelled
from supervisor.tasks.ids import missing_id_error
from supervisor.tasks.task import Task, TaskKind

# Tasks kept, at some five kilobytes each: an hour of refused photos would take gigabytes.
MAX_FINISHED = 10_000


class TaskStore:
    """Store of the known tasks. Finished ones expire by age and beyond a maximum; ids are remembered."""

    def __init__(self, retention_s: float) -> None:
        self._retention_s = retention_s
        self._tasks: dict[str, Task] = {}

    def __iter__(self) -> Iterator[Task]:
        """Iterate over the known tasks, newest first."""
        return reversed(self._tasks.values())

    def create(self, kind: TaskKind, task_id: str | None = None) -> Task:
        """Add a new queued task."""
        task = Task(kind, task_id)
        self._tasks[task.id] = task
        return task

    def get(self, task_id: str) -> Task:
        """Return the task with that id. Raises NotFound, or Expired for a deleted one."""
        if task_id in self._tasks:
            return self._tasks[task_id]
        raise missing_id_error("task", task_id, self._retention_s)

    def discard(self, task: Task) -> None:
        """Delete a task that was never started; its id is unknown from then on."""
        self._tasks.pop(task.id, None)

    async def cancel(self, task: Task) -> None:
        """Cancel a task and wait for its end. Raises AlreadyFinished."""
        if task.finished:
            raise AlreadyFinished
        if task.cancel is not None:
            if task.cancelling is None:
                task.cancelling = asyncio.ensure_future(task.cancel())
            # Shielded: a second request, or a client that disconnects, must not end the first one's wait.
            await asyncio.shield(task.cancelling)
        task.fail(Cancelled())

    def expired(self) -> list[Task]:
        """Return the tasks that finished longer than the retention ago, and the oldest beyond the maximum."""
        deadline = time.monotonic() - self._retention_s
        finished = [(task, task.finished_at) for task in self if task.finished_at is not None]
        return [
            task
            for number, (task, finished_at) in enumerate(finished)
            if finished_at <= deadline or number >= MAX_FINISHED
        ]

    def expire(self, task: Task) -> None:
        """Delete an expired task; its id gets 410 Gone from then on."""
        self._tasks.pop(task.id, None)

    def set_expiry(self, task: Task, remaining_s: float) -> None:
        """Let a finished task expire in so many seconds, but not later than one that finishes now.

        A clock that was set back keeps a task longer than was asked.
        """
        kept_s = self._retention_s - min(max(remaining_s, 0), self._retention_s)
        task.finished_at = time.monotonic() - kept_s
