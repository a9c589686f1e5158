"""A job in flight: sent to a worker process, and not answered."""

import asyncio
from dataclasses import dataclass
from typing import Any

from shared.errors import BgremoveError
from shared.messages import ModelInfo, RemovalResult
from supervisor.workers.deadline import Deadline
from supervisor.workers.spec import OnProgress


@dataclass(slots=True)
class InFlight:
    """A job that was sent to the process and is not answered."""

    answer: asyncio.Future[RemovalResult]
    on_progress: OnProgress
    deadline: Deadline
    started: bool = False
    abandoned: bool = False


def settle(future: asyncio.Future[Any], outcome: ModelInfo | RemovalResult | BgremoveError) -> None:
    """Set a future's result or error, unless it has one."""
    if future.done():
        return
    if isinstance(outcome, BgremoveError):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def mark_retrieved(future: asyncio.Future[Any]) -> None:
    """Mark a future's error as retrieved: nobody may await it any more."""
    if future.done() and not future.cancelled():
        future.exception()
