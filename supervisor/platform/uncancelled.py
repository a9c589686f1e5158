"""Functions on threads, which a cancelled coroutine waits for, since a thread cannot be stopped."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")


async def run_in_thread(
    function: Callable[Arguments, Value], *arguments: Arguments.args, **named: Arguments.kwargs
) -> Value:
    """Run a function on a thread, and return its value.

    Unlike `asyncio.to_thread`, a cancellation is raised when the function has ended: a clean-up after it can
    rely on nothing being written any more.
    """
    running = asyncio.ensure_future(asyncio.to_thread(function, *arguments, **named))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        running.exception()  # retrieved, or asyncio would log it
        raise
