"""Routes of tasks: list, read and cancel."""

from itertools import islice

from fastapi import APIRouter

from shared.errors import AlreadyFinished, Expired, NotFound
from supervisor.api.dependencies import TaskDep, TasksDep
from supervisor.api.error_handlers import describe_errors
from supervisor.tasks.task import TaskPayload

router = APIRouter(tags=["tasks"])
MAX_LISTED = 500  # made on the event loop: ten thousand would hold it up for a fifth of a second
_UNKNOWN = describe_errors(NotFound, Expired)


@router.get("/tasks")
async def list_tasks(tasks: TasksDep) -> list[TaskPayload]:
    """The newest 500 of the tasks still known, newest first."""
    return [task.payload() for task in islice(tasks, MAX_LISTED)]


@router.get("/tasks/{task_id}", responses=_UNKNOWN)
async def read_task(task: TaskDep) -> TaskPayload:
    """One task."""
    return task.payload()


@router.delete("/tasks/{task_id}", responses=_UNKNOWN | describe_errors(AlreadyFinished))
async def cancel_task(task: TaskDep, tasks: TasksDep) -> TaskPayload:
    """Cancel a queued or running task, and answer once it has ended."""
    await tasks.cancel(task)
    return task.payload()
