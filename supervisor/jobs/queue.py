"""Whose turn it is at a worker: first in, first out, a few at once, and one alone where that is safer."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Turn:
    """One removal's place at the worker."""

    turns: "Turns"
    alone: bool = False

    async def again_alone(self) -> None:
        """Give the place back, and take it again before all who wait, with nobody beside.

        What a worker died of may be this removal or the one beside it. Tried alone, it is known.
        """
        self.alone = True
        await self.turns.enter(self, first=True)


class Turns:
    """A gate that `at_once()` removals may have passed at a time. Lives on the event loop."""

    def __init__(self, at_once: Callable[[], int]) -> None:
        self._at_once = at_once
        self._inside: list[Turn] = []
        self._waiting: deque[tuple[Turn, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def next(self) -> AsyncIterator[Turn]:
        """Wait for a turn, and have it for the length of a block."""
        turn = Turn(self)
        await self.enter(turn)
        try:
            yield turn
        finally:
            self.leave(turn)

    async def enter(self, turn: Turn, *, first: bool = False) -> None:
        """Wait until `turn` is inside: at the head of those who wait, or behind them.

        A turn that is inside goes out to wait again.
        """
        passed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place = (turn, passed)
        if first:
            self._waiting.appendleft(place)
        else:
            self._waiting.append(place)
        self.leave(turn)
        try:
            await passed
        except asyncio.CancelledError:
            if place in self._waiting:
                self._waiting.remove(place)
            self.leave(turn)
            raise

    def leave(self, turn: Turn) -> None:
        """Give a place back. Does nothing for a turn that has none."""
        if turn in self._inside:
            self._inside.remove(turn)
        self.admit()

    def admit(self) -> None:
        """Let in whoever may pass now; called by itself, and after `at_once` has grown."""
        while self._waiting:
            turn, passed = self._waiting[0]
            if passed.cancelled():  # just now: it has not come to take itself out
                self._waiting.popleft()
                continue
            room = 1 if turn.alone or any(other.alone for other in self._inside) else self._at_once()
            if len(self._inside) >= max(1, room):
                return
            self._waiting.popleft()
            self._inside.append(turn)
            passed.set_result(None)
