"""Tasks as clients follow them."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import AlreadyFinished, DamagedImage, Expired, NotFound
from supervisor.tasks.task import LOG_LINES, Task, TaskKind
from supervisor.tasks.task_store import TaskStore


@given(st.lists(st.floats(-50, 200)))
def test_the_percentage_never_falls_and_stays_within_bounds(percents: list[float]) -> None:
    """A progress bar that jumps back looks broken."""
    task, shown = Task(TaskKind.REMOVE), [0.0]
    for percent in percents:
        task.progress(percent, "step")
        shown.append(task.payload()["percent"])
    assert shown == sorted(shown)
    assert all(0 <= percent <= 100 for percent in shown)


def test_a_finished_task_never_changes_again() -> None:
    """A late event of a killed worker must not revive a failed removal."""
    task = Task(TaskKind.REMOVE)
    task.fail(DamagedImage())
    before = task.payload()
    task.progress(99, "late")
    task.complete("late")
    assert task.payload() == before
    assert before["code"] == "damaged_image"


def test_only_the_last_lines_of_the_log_are_kept() -> None:
    """An install logs thousands of lines; the payload must stay small."""
    task = Task(TaskKind.INSTALL)
    for number in range(LOG_LINES + 50):
        task.log(str(number))
    assert task.payload()["logs"] == [str(number) for number in range(50, LOG_LINES + 50)]


def test_transient_messages_are_shown_and_not_logged() -> None:
    """The byte counts of a download would push its steps out of the log."""
    task = Task(TaskKind.DOWNLOAD)
    task.progress(1, "Fetching model.safetensors")
    for megabytes in range(LOG_LINES + 1):
        task.progress(2, f"{megabytes} MB", transient=True)
    task.progress(3, "Checking")
    task.progress(4, "Checking")
    assert task.payload()["message"] == "Checking"
    assert task.payload()["logs"] == ["Fetching model.safetensors", "Checking"]


def test_a_follower_sees_the_present_then_the_latest_then_the_end() -> None:
    """Changes that come faster than the interval are merged, and the end is never lost."""

    async def follow() -> list[float]:
        task = Task(TaskKind.REMOVE)
        seen = []
        async for update in task.updates(min_interval_s=0.01):
            seen.append(update["percent"])
            if len(seen) == 1:
                for percent in range(10, 60, 10):
                    task.progress(percent, "step")
            elif len(seen) == 2:
                task.complete("done")
        return seen

    assert asyncio.run(follow()) == [0, 50, 100]


def test_a_stream_opened_after_the_end_tells_the_end_and_stops() -> None:
    """A page that was reloaded late must not wait forever."""

    async def follow() -> list[str]:
        task = Task(TaskKind.REMOVE)
        task.complete("done")
        return [update["status"] async for update in task.updates(min_interval_s=1)]

    assert asyncio.run(follow()) == ["complete"]


def test_the_end_is_sent_without_waiting_for_the_interval() -> None:
    """A page would show the result later than it is there."""

    async def scenario() -> None:
        task = Task(TaskKind.REMOVE)

        async def follow() -> list[str]:
            return [update["status"] async for update in task.updates(min_interval_s=30)]

        following = asyncio.create_task(follow())
        await asyncio.sleep(0.01)
        task.progress(50, "step")
        task.complete("done")
        assert await asyncio.wait_for(following, 5) == ["queued", "complete"]

    asyncio.run(scenario())


def test_a_task_expires_after_the_whole_retention(monkeypatch: pytest.MonkeyPatch) -> None:
    """The result names that time, from the end of the task, however long it ran."""
    now_s = 1000.0
    monkeypatch.setattr("supervisor.tasks.task.time.monotonic", lambda: now_s)
    tasks = TaskStore(retention_s=3600)
    task = tasks.create(TaskKind.REMOVE)
    now_s += 10_000
    assert not tasks.expired()
    task.complete("done")
    now_s += 3599
    assert not tasks.expired()
    now_s += 1
    assert tasks.expired() == [task]


def test_a_forgotten_task_is_told_from_one_that_never_was() -> None:
    """ "Expired" and "unknown" are different news to a client."""
    tasks = TaskStore(retention_s=0)
    task = tasks.create(TaskKind.REMOVE)
    assert not tasks.expired()
    task.complete("done")
    assert tasks.expired() == [task]
    assert tasks.get(task.id) is task  # until its files are deleted
    tasks.expire(task)
    with pytest.raises(Expired):
        tasks.get(task.id)
    with pytest.raises(NotFound):
        tasks.get("bgremove_" + "0" * 32)


def test_cancelling_what_has_ended_is_refused() -> None:
    """The client must learn that it came too late."""
    tasks = TaskStore(retention_s=60)
    task = tasks.create(TaskKind.REMOVE)
    asyncio.run(tasks.cancel(task))
    assert task.payload()["code"] == "cancelled"
    with pytest.raises(AlreadyFinished):
        asyncio.run(tasks.cancel(task))


def test_cancelling_twice_is_one_cancelling() -> None:
    """A double click must not break off the waiting after which a worker that does not listen is killed."""

    async def scenario() -> None:
        tasks, release, steps = TaskStore(retention_s=60), asyncio.Event(), list[str]()
        task = tasks.create(TaskKind.REMOVE)

        async def cancel() -> None:
            steps.append("asked")
            await release.wait()
            steps.append("killed")

        task.cancel = cancel
        first = asyncio.create_task(tasks.cancel(task))
        second = asyncio.create_task(tasks.cancel(task))
        await asyncio.sleep(0)
        first.cancel()  # its client goes away
        await asyncio.sleep(0)
        assert not task.finished
        release.set()
        await second
        assert steps == ["asked", "killed"]
        assert task.payload()["code"] == "cancelled"

    asyncio.run(scenario())


def test_a_cancel_that_meets_the_end_is_not_lost() -> None:
    """Who follows a download, and is cancelled as it ends, would go on as if nobody had cancelled."""

    async def scenario() -> None:
        task = Task(TaskKind.DOWNLOAD)

        async def follow() -> None:
            async for _ in task.updates(min_interval_s=5):
                pass

        following = asyncio.create_task(follow())
        await asyncio.sleep(0.01)
        task.complete("done")
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await following

    asyncio.run(scenario())
