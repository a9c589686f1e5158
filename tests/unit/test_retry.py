"""The command line's retry policy: attempts per image, outage budget per run, waits for a full queue."""

from collections.abc import Callable

import pytest

from cli.command_errors import CommandFailed, ServerBusy, Unreachable
from cli.retry import RetriesExhausted, RetryPolicy

UNREACHABLE = Unreachable("no connection", "unreachable")
BAD_GATEWAY = Unreachable("answered 502", "bad_answer")
STOPPING = CommandFailed("The service is stopping.", "stopping")
FULL = ServerBusy("The queue is full.", "queue_full", 60.0)
DAMAGED = CommandFailed("The image is damaged.", "damaged_image")


class World:
    """A server that is reachable or not, and a clock that advances when the policy waits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, reachable: bool = True) -> None:
        self.now_s = 1000.0
        self.reachable = reachable
        self.policy = RetryPolicy(lambda: self.reachable, self.pause)
        monkeypatch.setattr("cli.retry.time.monotonic", lambda: self.now_s)

    def pause(self, seconds: float) -> None:
        """Advance the clock."""
        self.now_s += seconds


def failing(times: int, error: CommandFailed) -> Callable[[], str]:
    """Return an operation that fails so many times and then succeeds."""
    errors = [error] * times

    def operation() -> str:
        if errors:
            raise errors.pop()
        return "done"

    return operation


@pytest.mark.parametrize("error", [UNREACHABLE, BAD_GATEWAY, STOPPING])
def test_a_restart_of_half_a_minute_loses_no_image(
    monkeypatch: pytest.MonkeyPatch, error: CommandFailed
) -> None:
    """Uploads are repeated until the server accepts them, also behind a proxy that answers 502."""
    world = World(monkeypatch, reachable=False)
    assert world.policy.call(failing(25, error)) == "done"
    assert world.now_s - 1000 == 25


def test_an_error_of_the_image_is_not_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another attempt would fail as well."""
    world = World(monkeypatch)
    with pytest.raises(CommandFailed, match="damaged"):
        world.policy.call(failing(1, DAMAGED))
    assert world.now_s == 1000


def test_an_image_that_always_breaks_the_connection_fails_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The server answers, so others may succeed."""
    world = World(monkeypatch)
    with pytest.raises(Unreachable):
        world.policy.call(failing(99, UNREACHABLE))
    assert world.now_s - 1000 < 60
    assert world.policy.call(failing(0, UNREACHABLE)) == "done"


@pytest.mark.parametrize("reachable", [False, True])
def test_the_outage_budget_of_a_minute_ends_the_run(
    monkeypatch: pytest.MonkeyPatch, *, reachable: bool
) -> None:
    """It is shared by all images of the run."""
    world = World(monkeypatch, reachable=reachable)
    images = 0
    with pytest.raises(RetriesExhausted):  # noqa: PT012 - one image after the other
        while True:
            images += 1
            try:
                world.policy.call(failing(99, STOPPING))
            except RetriesExhausted:
                raise
            except CommandFailed:
                continue
    assert 60 < world.now_s - 1000 < 100
    assert images < 8


def test_a_full_queue_is_retried_after_the_delay_it_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each wait is announced, and ten minutes are the limit."""
    world = World(monkeypatch)
    delays: list[float] = []
    assert world.policy.call_when_free(failing(3, FULL), delays.append) == "done"
    assert (delays, world.now_s - 1000) == ([60.0] * 3, 180)
    with pytest.raises(ServerBusy):
        world.policy.call_when_free(failing(99, FULL), delays.append)
    assert world.now_s - 1180 == 600


@pytest.mark.parametrize("hours", [0, 9])
def test_each_outage_has_the_whole_budget(monkeypatch: pytest.MonkeyPatch, hours: int) -> None:
    """A night's batch survives several restarts of the server: a success ends the outage before it."""
    world = World(monkeypatch, reachable=False)
    for _ in range(4):
        assert world.policy.call(failing(40, UNREACHABLE)) == "done"
        world.pause(3600 * hours)
        assert world.policy.call(failing(0, UNREACHABLE)) == "done"
    assert world.now_s - 1000 == 4 * (40 + 3600 * hours)


def test_several_restarts_during_one_image_share_its_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four are survived. While the server answers, the back-off doubles up to its limit."""
    world = World(monkeypatch)
    pauses: list[float] = []
    monkeypatch.setattr(world.policy, "_pause", pauses.append)
    assert world.policy.call(failing(4, STOPPING)) == "done"
    assert pauses == [2, 4, 8, 8]
    with pytest.raises(CommandFailed, match="stopping"):
        world.policy.call(failing(5, STOPPING))


@pytest.mark.parametrize(
    "code", ["unreachable", "stopping", "not_ready", "queue_full", "not_found", "upload_stalled"]
)
def test_an_error_that_the_image_did_not_cause_is_retried(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """A server that has restarted no longer knows the tasks of the images that it was sent."""
    assert World(monkeypatch).policy.call(failing(1, CommandFailed("later", code))) == "done"


def test_a_wait_for_the_queue_may_take_the_whole_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue that is free again after ten minutes was worth the wait."""
    world = World(monkeypatch)
    assert world.policy.call_when_free(failing(10, FULL), lambda _: None) == "done"
    assert world.now_s - 1000 == 600
