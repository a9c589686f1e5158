"""Threads that a cancelled coroutine waits for."""

import asyncio
import threading

import pytest

from supervisor.platform.uncancelled import run_in_thread


def test_a_function_s_value_and_error_are_passed_on() -> None:
    """As by asyncio.to_thread."""
    assert asyncio.run(run_in_thread(divmod, 7, 2)) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(run_in_thread(divmod, 7, 0))


def test_a_cancel_is_raised_when_the_function_has_ended() -> None:
    """What cleans up after the cancel must find what the function has written."""
    begun, release, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        release.wait(10)
        ended.set()

    async def scenario() -> None:
        running = asyncio.create_task(run_in_thread(work))
        await asyncio.to_thread(begun.wait, 10)
        running.cancel()
        await asyncio.sleep(0.05)
        assert not running.done()
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert ended.is_set()

    asyncio.run(scenario())


def test_a_function_that_fails_after_the_cancel_is_no_other_error() -> None:
    """The caller asked for the cancel."""
    begun, release = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        release.wait(10)
        raise ZeroDivisionError

    async def scenario() -> None:
        running = asyncio.create_task(run_in_thread(work))
        await asyncio.to_thread(begun.wait, 10)
        running.cancel()
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(scenario())
