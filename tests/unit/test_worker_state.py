"""The worker's states: what is legal, and that nothing else can happen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.workers.state import IllegalTransition, WorkerEvent, WorkerState, transition

LIVE = set(WorkerState) - {WorkerState.STOPPED, WorkerState.FAILED}


def after(*events: WorkerEvent) -> WorkerState:
    """Return the state that a new worker is in after `events`."""
    state = WorkerState.STOPPED
    for event in events:
        state = transition(state, event)
    return state


def test_a_worker_starts_loads_works_and_rests() -> None:
    """The everyday life of a worker."""
    life = [WorkerEvent.START, WorkerEvent.LOADED, WorkerEvent.JOB_STARTED, WorkerEvent.JOBS_DONE]
    assert after(*life) is WorkerState.READY


def test_a_death_nobody_asked_for_is_a_failure_and_an_unload_is_not() -> None:
    """The status must not cry wolf when the user pressed Unload."""
    ready = (WorkerEvent.START, WorkerEvent.LOADED)
    assert after(*ready, WorkerEvent.EXITED) is WorkerState.FAILED
    assert after(*ready, WorkerEvent.KILL, WorkerEvent.EXITED) is WorkerState.STOPPED


@pytest.mark.parametrize(
    "events",
    [
        (WorkerEvent.LOADED,),
        (WorkerEvent.START, WorkerEvent.START),
        (WorkerEvent.START, WorkerEvent.KILL, WorkerEvent.LOADED),
    ],
    ids=["loaded without a start", "two starts", "loaded after a kill"],
)
def test_what_cannot_happen_is_refused_loudly(events: tuple[WorkerEvent, ...]) -> None:
    """The supervisor has lost count then, and the status would lie."""
    with pytest.raises(IllegalTransition):
        after(*events)


@given(st.sampled_from(WorkerState))
def test_every_live_worker_can_die_and_every_dead_one_can_start(state: WorkerState) -> None:
    """No state is a trap."""
    if state in LIVE:
        assert transition(state, WorkerEvent.EXITED) not in LIVE
    else:
        assert transition(state, WorkerEvent.START) is WorkerState.STARTING
