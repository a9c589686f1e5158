"""Threads that a cancelled coroutine waits for, since nothing can stop them."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")


async def run_in_thread(
    function: Callable[Arguments, Value], *arguments: Arguments.args, **named: Arguments.kwargs
) -> Value:
    """Return what a function returns that runs on a thread.

    Unlike `asyncio.to_thread`, a cancel is raised when the function has ended: what it writes is not written
    behind the back of whoever cleans up after the cancel.
    """
    running = asyncio.ensure_future(asyncio.to_thread(function, *arguments, **named))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        running.exception()  # retrieved, or asyncio would log it
        raise
