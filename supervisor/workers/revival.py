"""Revival: loads the model again on lost devices, with back-off, while a pool's other workers work."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from shared.errors import BgremoveError, OutOfMemory
from supervisor.workers.state import WorkerState
from supervisor.workers.worker import Worker

REVIVAL_S = (0.5, 5.0, 30.0, 120.0, 300.0)  # before a lost device is tried again, by losses in a row
log = logging.getLogger("supervisor.pool")


class Revivals:
    """The lost workers that are to be loaded again, each with the coroutine that does it.

    `is_wanted` says whether a lost worker is to be loaded now, `is_alive` whether another one works: the next
    job starts one where none does. A worker's losses are in a row until it completes a job: a device may load
    the model and break at each job.
    """

    def __init__(self, is_alive: Callable[[], bool], is_wanted: Callable[[], bool]) -> None:
        self._is_alive = is_alive
        self._is_wanted = is_wanted
        self._tasks: dict[Worker, asyncio.Task[None]] = {}
        self._losses: dict[Worker, tuple[int, int]] = {}  # in a row, and the jobs done at the last one

    def __contains__(self, worker: Worker) -> bool:
        """Return whether a worker is to be loaded again, or is being loaded."""
        return worker in self._tasks

    def schedule(self, worker: Worker) -> None:
        """Load a worker again after the back-off, if it is lost and another one works."""
        if worker not in self._tasks and self._is_lost(worker):
            task = self._tasks[worker] = asyncio.create_task(self._revive(worker))
            task.add_done_callback(lambda _: self._tasks.pop(worker, None))

    async def cancel(self) -> None:
        """Cancel all, also loads that are under way, and wait for their ends."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _is_lost(self, worker: Worker) -> bool:
        """Whether a worker died, but for lack of memory: its load would evict models, again and again."""
        last = worker.process.last_exit
        lacked_memory = last is not None and last.reason == OutOfMemory.code
        return self._is_alive() and worker.state is WorkerState.FAILED and not lacked_memory

    async def _revive(self, worker: Worker) -> None:
        while self._is_lost(worker):
            wait_s = REVIVAL_S[min(self._count_loss(worker), len(REVIVAL_S)) - 1]
            log.warning("device lost", extra={"worker": worker.name, "retry_s": wait_s})
            await asyncio.sleep(wait_s)
            if self._is_lost(worker) and self._is_wanted():
                with suppress(BgremoveError):
                    await worker.load(lambda _percent, _message: None)

    def _count_loss(self, worker: Worker) -> int:
        losses, jobs_done = self._losses.get(worker, (0, 0))
        losses = losses + 1 if worker.jobs_done == jobs_done else 1
        self._losses[worker] = losses, worker.jobs_done
        return losses
