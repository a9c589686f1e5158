"""How long the command line puts up with a server, and when it gives a photo up, or all of them."""

from collections.abc import Callable

import pytest

from cli.command_errors import CommandFailed, ServerBusy, Unreachable
from cli.retry import RetriesExhausted, RetryPolicy

AWAY = Unreachable("no connection", "unreachable")
BEHIND_A_PROXY = Unreachable("answered 502", "bad_answer")
STOPPING = CommandFailed("The service is stopping.", "stopping")
FULL = ServerBusy("The queue is full.", "queue_full", 60.0)
DAMAGED = CommandFailed("The image is damaged.", "damaged_image")


class World:
    """A server that is there or not, and a clock that goes on by waiting."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, there: bool = True) -> None:
        self.now_s = 1000.0
        self.there = there
        self.policy = RetryPolicy(lambda: self.there, self.pause)
        monkeypatch.setattr("cli.retry.time.monotonic", lambda: self.now_s)

    def pause(self, seconds: float) -> None:
        """Wait."""
        self.now_s += seconds


def failing(times: int, error: CommandFailed) -> Callable[[], str]:
    """Return what fails so many times, and then works."""
    errors = [error] * times

    def send() -> str:
        if errors:
            raise errors.pop()
        return "done"

    return send


@pytest.mark.parametrize("error", [AWAY, BEHIND_A_PROXY, STOPPING])
def test_a_restart_of_half_a_minute_costs_nothing(
    monkeypatch: pytest.MonkeyPatch, error: CommandFailed
) -> None:
    """Each photo is sent again until the server takes it, also behind a proxy that says 502 meanwhile."""
    world = World(monkeypatch, there=False)
    assert world.policy.call(failing(25, error)) == "done"
    assert world.now_s - 1000 == 25


def test_a_photos_own_fault_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """To send it again would change nothing."""
    world = World(monkeypatch)
    with pytest.raises(CommandFailed, match="damaged"):
        world.policy.call(failing(1, DAMAGED))
    assert world.now_s == 1000


def test_a_photo_at_which_the_connection_always_breaks_is_given_up_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The server answers, so the others may fare better."""
    world = World(monkeypatch)
    with pytest.raises(Unreachable):
        world.policy.call(failing(99, AWAY))
    assert world.now_s - 1000 < 60
    assert world.policy.call(failing(0, AWAY)) == "done"


@pytest.mark.parametrize("there", [False, True])
def test_a_server_that_takes_nothing_for_a_minute_ends_it_all(
    monkeypatch: pytest.MonkeyPatch, *, there: bool
) -> None:
    """A minute for the whole run, not for each of a thousand photos."""
    world = World(monkeypatch, there=there)
    photos = 0
    with pytest.raises(RetriesExhausted):  # noqa: PT012 - one after the other, as a run does
        while True:
            photos += 1
            try:
                world.policy.call(failing(99, STOPPING))
            except RetriesExhausted:
                raise
            except CommandFailed:
                continue
    assert 60 < world.now_s - 1000 < 100
    assert photos < 8


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
