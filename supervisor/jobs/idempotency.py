"""Idempotency keys: a client that repeats an upload, as after a lost connection, gets the same task.

Source: IETF draft "The Idempotency-Key HTTP Header Field" (draft-ietf-httpapi-idempotency-key-header).
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from shared.errors import IdempotencyKeyReused
from supervisor.jobs.job import IdempotencyKey, Job
from supervisor.tasks.task import Task


@dataclass(slots=True)
class _Use:
    """The first request with a key: what it was, and the task that it will have got."""

    fingerprint: str
    task: asyncio.Future[Task]


class IdempotencyKeys:
    """The keys of all known tasks, by client."""

    def __init__(self) -> None:
        self._uses: dict[tuple[str, str], _Use] = {}
        self._by_task: dict[str, tuple[str, str]] = {}

    async def accept_once(
        self, client: str, key: IdempotencyKey | None, accept: Callable[[], Awaitable[Task]]
    ) -> Task:
        """Return the task of the first request with this key; of one without key, what `accept` returns.

        A request that failed leaves its key free. Raises IdempotencyKeyReused, and what `accept` raises.
        """
        if key is None:
            return await accept()
        owner = (client, key.key)
        while (use := self._uses.get(owner)) is not None:
            if use.fingerprint != key.fingerprint:
                raise IdempotencyKeyReused
            await asyncio.wait([use.task])
            if not use.task.cancelled():
                return use.task.result()
        use = self._uses[owner] = _Use(key.fingerprint, asyncio.get_running_loop().create_future())
        try:
            task = await accept()
        except BaseException:  # a cancel too
            del self._uses[owner]
            use.task.cancel()
            raise
        self._by_task[task.id] = owner
        use.task.set_result(task)
        return task

    def restore(self, job: Job, task: Task) -> None:
        """Remember the key of a job that was accepted before a restart."""
        if job.idempotency_key is None:
            return
        owner = (job.client, job.idempotency_key.key)
        future: asyncio.Future[Task] = asyncio.get_running_loop().create_future()
        future.set_result(task)
        self._uses[owner] = _Use(job.idempotency_key.fingerprint, future)
        self._by_task[task.id] = owner

    def forget(self, task_id: str) -> None:
        """Free the key of a task that has expired."""
        owner = self._by_task.pop(task_id, None)
        use = None if owner is None else self._uses.get(owner)
        # Two jobs may have come with one key, as to two services of which one adopted the other's spool.
        if owner is not None and use is not None and use.task.done() and use.task.result().id == task_id:
            del self._uses[owner]
