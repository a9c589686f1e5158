"""What counts against a child's time: the seconds in which it could have done something."""

import asyncio
from collections.abc import Callable

import pytest

from supervisor.workers.deadline import SLICES, Deadline

TIMEOUT_S = 1000.0  # longer than the test may take
SLEEP_S = 10 * TIMEOUT_S


async def count(monkeypatch: pytest.MonkeyPatch, sleeps: int, then: Callable[[Deadline], None]) -> int:
    """Let the machine sleep that often, as Windows' clock has it; return how often the deadline passed."""
    loop, slept = asyncio.get_running_loop(), 0.0
    passed: list[None] = []
    now = loop.time
    monkeypatch.setattr(loop, "time", lambda: now() + slept)
    deadline = Deadline(TIMEOUT_S, lambda: passed.append(None))
    for _ in range(sleeps):
        slept += SLEEP_S
        for _ in range(3):
            await asyncio.sleep(0)
    then(deadline)
    slept += SLEEP_S
    for _ in range(3):
        await asyncio.sleep(0)
    return len(passed)


def nothing(_: Deadline) -> None:
    """Leave it running."""


@pytest.mark.parametrize(
    ("sleeps", "then", "passed"),
    [(0, nothing, 0), (SLICES, nothing, 1), (2 * SLICES, nothing, 1), (SLICES - 1, Deadline.cancel, 0)],
    ids=["one sleep", "all its parts", "long over", "cancelled"],
)
def test_a_sleep_of_the_machine_is_no_silence_of_a_child(
    monkeypatch: pytest.MonkeyPatch, sleeps: int, then: Callable[[Deadline], None], passed: int
) -> None:
    """On Windows a download was ended when the lid was opened, and a removal called too slow."""
    assert asyncio.run(count(monkeypatch, sleeps, then)) == passed
