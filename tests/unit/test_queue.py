"""Who may use a worker when: first come first served, and alone where a death is to be explained."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from supervisor.jobs.queue import Turns


class Watched:
    """A gate, and the names of those inside it."""

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self.turns = Turns(lambda: self.at_once)
        self.inside: list[str] = []
        self.order: list[str] = []

    @asynccontextmanager
    async def visit(self, name: str) -> AsyncIterator[Any]:
        """Go in and out under a name."""
        async with self.turns.next() as turn:
            self.inside.append(name)
            self.order.append(name)
            try:
                yield turn
            finally:
                self.inside.remove(name)

    async def stay(self, name: str, until: asyncio.Event) -> None:
        """Be inside until an event."""
        async with self.visit(name):
            await until.wait()


async def settled() -> None:
    """Let every task go as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario in bounded time."""
    asyncio.run(asyncio.wait_for(scenario(), 10))


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_no_more_than_allowed_are_inside_and_they_come_in_order(at_once: int) -> None:
    """A worker must not be given more photos than it has room for, nor the later one first."""

    async def scenario() -> None:
        gate, leave = Watched(at_once), [asyncio.Event() for _ in range(6)]
        tasks = [asyncio.create_task(gate.stay(str(number), leave[number])) for number in range(6)]
        for number in range(6):
            await settled()
            assert gate.inside == [str(each) for each in range(number, min(6, number + at_once))]
            leave[number].set()
        await asyncio.gather(*tasks)
        assert gate.order == list("012345")

    run(scenario)


def test_one_that_tries_again_is_alone_and_before_all_who_wait() -> None:
    """A photo that kills workers must not take the photos beside it down, nor go to the back of the queue."""

    async def scenario() -> None:
        gate, go_on, leave = Watched(2), asyncio.Event(), asyncio.Event()

        async def retries(name: str) -> None:
            async with gate.visit(name) as turn:
                await go_on.wait()
                gate.inside.remove(name)
                await turn.again_alone()
                gate.inside.append(name)
                await leave.wait()

        tasks = [asyncio.create_task(retries("a")), asyncio.create_task(retries("b"))]
        tasks.append(asyncio.create_task(gate.stay("c", leave)))
        await settled()
        go_on.set()
        await settled()
        assert len(gate.inside) == 1
        assert gate.inside[0] in "ab"
        leave.set()
        await asyncio.gather(*tasks)
        assert gate.order == list("abc")

    run(scenario)


def test_a_cancelled_wait_leaves_no_ghost_in_the_queue() -> None:
    """Cancelling a queued removal must not hold up those behind it."""

    async def scenario() -> None:
        gate, leave = Watched(1), asyncio.Event()
        tasks = [asyncio.create_task(gate.stay(name, leave)) for name in "abc"]
        await settled()
        tasks[1].cancel()
        await settled()
        leave.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert gate.order == list("ac")
        async with gate.visit("d"):
            assert gate.inside == ["d"]

    run(scenario)


def test_one_that_is_cancelled_while_its_place_gets_free_harms_nobody() -> None:
    """A removal that has just ended well must not fail because the next one was cancelled at that moment."""

    async def scenario() -> None:
        gate, leave = Watched(1), asyncio.Event()
        tasks = [asyncio.create_task(gate.stay(name, leave)) for name in "abc"]
        await settled()
        leave.set()
        tasks[1].cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(end) for end in ends] == [type(None), asyncio.CancelledError, type(None)]
        assert gate.order == list("ac")

    run(scenario)


def test_room_that_appears_later_is_used_once_it_is_told() -> None:
    """The first removal loads the model; only then it is known how many fit."""

    async def scenario() -> None:
        gate, leave = Watched(1), asyncio.Event()
        tasks = [asyncio.create_task(gate.stay(name, leave)) for name in "ab"]
        await settled()
        assert gate.inside == ["a"]
        gate.at_once = 2
        gate.turns.admit()
        await settled()
        assert gate.inside == ["a", "b"]
        leave.set()
        await asyncio.gather(*tasks)

    run(scenario)
