"""Tasks: listed, read and cancelled."""

from fastapi import APIRouter

from shared.errors import AlreadyFinished, Expired, NotFound
from supervisor.api.dependencies import KnownTask, Supervisor
from supervisor.api.error_handlers import error_responses
from supervisor.jobs.task import TaskPayload

router = APIRouter(tags=["tasks"])
_UNKNOWN = error_responses(NotFound, Expired)


@router.get("/tasks")
async def list_tasks(services: Supervisor) -> list[TaskPayload]:
    """Every task still known, newest first."""
    return [task.payload() for task in services.tasks]


@router.get("/tasks/{task_id}", responses=_UNKNOWN)
async def read_task(task: KnownTask) -> TaskPayload:
    """One task."""
    return task.payload()


@router.delete("/tasks/{task_id}", responses=_UNKNOWN | error_responses(AlreadyFinished))
async def cancel_task(task: KnownTask, services: Supervisor) -> TaskPayload:
    """Cancel a queued or running task, and answer once it has ended."""
    await services.tasks.cancel(task)
    return task.payload()
