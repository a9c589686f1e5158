"""Routes of the Python environment: its status, and the install of what is missing."""

import platform
import sys
from collections.abc import AsyncIterable
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.sse import ServerSentEvent
from typing_extensions import TypedDict

from shared.errors import LocalOnly, NotFound, Stopping
from supervisor.api.dependencies import EnvironmentDep, InstallsDep, NoBody, SettingsDep, Started, TaskDep
from supervisor.api.error_handlers import describe_errors
from supervisor.api.middleware.auth import is_loopback
from supervisor.api.sse import STREAM_RESPONSES, EventStream, refuse_ended, stream_events
from supervisor.environment.report import PackageState
from supervisor.tasks.task import Task, TaskKind

STREAM_INTERVAL_S = 0.5

router = APIRouter(prefix="/env", tags=["env"])


class ModuleStatus(TypedDict):
    """One module: its package, whether it is installed, what needs it, and its problem, if any."""

    module: str
    package: str
    required: bool
    installed: bool
    version: str | None
    needed_by: list[str]
    problem: str | None


class EnvironmentStatus(TypedDict):
    """The Python environment. `ready`: everything that the service needs with its settings is usable.

    `task_id` is the install under way.
    """

    installed: bool
    ready: bool
    missing: list[str]
    modules: list[ModuleStatus]
    python: str
    venv: str | None
    task_id: str | None


async def _require_local(request: Request, settings: SettingsDep) -> None:
    """Allow clients on this machine, and all with the token, which was checked before. Raises LocalOnly."""
    address = request.client.host if request.client else ""
    if settings.token is None and not is_loopback(address):
        raise LocalOnly


async def _get_install_task(task: TaskDep) -> Task:
    if task.kind is not TaskKind.INSTALL:
        raise NotFound("That task is not an install.")
    return task


@router.get("/status")
async def status(environment: EnvironmentDep, installs: InstallsDep) -> EnvironmentStatus:
    """What is installed, missing or broken. The first answer after a change tries every import."""
    report = await environment.report()
    installing = installs.current
    return {
        "installed": all(row.installed for row in report.rows),
        "ready": report.ready,
        "missing": [state.package.requirement for state in report.missing],
        "modules": [_describe_module(row) for row in report.rows],
        "python": platform.python_version(),
        "venv": sys.prefix if sys.prefix != sys.base_prefix else None,
        "task_id": installing.id if installing else None,
    }


@router.post(
    "/install", dependencies=[Depends(_require_local)], responses=describe_errors(LocalOnly, Stopping)
)
async def install(installs: InstallsDep, _: NoBody = None) -> Started:
    """Install this project's packages that are missing or broken; null if none are. One run at a time."""
    task = await installs.start()
    return {"task_id": task.id if task else None}


@router.get(
    "/install/stream/{task_id}",
    response_class=EventStream,
    dependencies=[Depends(refuse_ended)],
    responses=STREAM_RESPONSES,
)
async def stream(task: Annotated[Task, Depends(_get_install_task)]) -> AsyncIterable[ServerSentEvent]:
    """The install's progress as server-sent events: its state now, then every change until its end.

    The data of each is what `GET /tasks/{task_id}` answers with. There is at most one every 500 ms, and a
    comment every 15 s. After one whose status is `complete` or `error`, and whose id is `end`, the stream
    ends: close an `EventSource` then. One that reconnects with `Last-Event-ID: end` gets 204, which ends it.
    A stream that ends earlier was cut off by a restart of the service: connect again.
    """
    async for event in stream_events(task, STREAM_INTERVAL_S):
        yield event


def _describe_module(row: PackageState) -> ModuleStatus:
    return {
        "module": row.package.module,
        "package": row.package.requirement,
        "required": row.required,
        "installed": row.installed,
        "version": row.version,
        "needed_by": list(row.package.needed_by),
        "problem": row.problem.sentence if row.problem else None,
    }
