"""A service that finishes more tasks in an hour than it can remember."""

import asyncio

import pytest

from shared.errors import DamagedImage
from supervisor.api.routes import task_list
from supervisor.tasks import task_store
from supervisor.tasks.task import TaskKind
from supervisor.tasks.task_store import TaskStore


def test_the_oldest_finished_tasks_beyond_the_maximum_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client whose photos are refused at once made the supervisor grow by gigabytes an hour."""
    monkeypatch.setattr(task_store, "MAX_FINISHED", 3)
    store = TaskStore(3600)
    created = [store.create(TaskKind.REMOVE) for _ in range(6)]
    for task in created[1:]:  # the first one still runs
        task.fail(DamagedImage())
    assert sorted(task.id for task in store.expired()) == sorted(task.id for task in created[1:3])


def test_a_list_of_tasks_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six thousand of them held up the event loop for a tenth of a second, at each request."""
    monkeypatch.setattr(task_list, "MAX_LISTED", 2)
    store = TaskStore(3600)
    created = [store.create(TaskKind.REMOVE) for _ in range(5)]
    listed = asyncio.run(task_list.list_tasks(store))
    assert [each["task_id"] for each in listed] == [created[4].id, created[3].id]
