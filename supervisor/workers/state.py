"""The state machine of a worker: states, events, and the table of legal transitions."""

from enum import StrEnum


class WorkerState(StrEnum):
    """The state of a worker."""

    STOPPED = "stopped"
    """No process. A job or a load starts one."""
    STARTING = "starting"
    """The process is up and its model loads."""
    READY = "ready"
    """The model is loaded and idle."""
    BUSY = "busy"
    """A job is running."""
    STOPPING = "stopping"
    """The process was killed on purpose and is being reaped."""
    FAILED = "failed"
    """The process died; the next start waits for the back-off."""


class WorkerEvent(StrEnum):
    """What can happen to a worker."""

    START = "start"
    DEVICE_SELECTED = "device_selected"
    LOADED = "loaded"
    JOB_STARTED = "job_started"
    JOBS_DONE = "jobs_done"
    SLOT_FREED = "slot_freed"
    RESIZED = "resized"
    KILL = "kill"
    RESET = "reset"
    EXITED = "exited"


class IllegalTransition(RuntimeError):
    """A transition that is not in the table: always a bug of the supervisor."""


_S, _E = WorkerState, WorkerEvent
TRANSITIONS: dict[tuple[WorkerState, WorkerEvent], WorkerState] = {
    (_S.STOPPED, _E.START): _S.STARTING,
    (_S.FAILED, _E.START): _S.STARTING,
    (_S.STARTING, _E.DEVICE_SELECTED): _S.STARTING,
    (_S.STARTING, _E.LOADED): _S.READY,
    (_S.READY, _E.JOB_STARTED): _S.BUSY,
    (_S.BUSY, _E.JOBS_DONE): _S.READY,
    (_S.BUSY, _E.SLOT_FREED): _S.BUSY,
    (_S.READY, _E.RESIZED): _S.READY,
    (_S.BUSY, _E.RESIZED): _S.BUSY,
    **{(live, _E.KILL): _S.STOPPING for live in (_S.STARTING, _S.READY, _S.BUSY)},
    **{(live, _E.EXITED): _S.FAILED for live in (_S.STARTING, _S.READY, _S.BUSY)},
    (_S.STOPPING, _E.EXITED): _S.STOPPED,
    (_S.FAILED, _E.RESET): _S.STOPPED,
}


def transition(state: WorkerState, event: WorkerEvent) -> WorkerState:
    """Return the state after `event`. Raises IllegalTransition."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(f"{event} in state {state}") from None
