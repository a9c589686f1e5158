"""The worker pool of one model: chooses a worker for each job, and acts on all of them together."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from shared.messages import ModelInfo
from supervisor.workers.spec import OnProgress, WorkerStatus
from supervisor.workers.state import WorkerState
from supervisor.workers.worker import Slot, Worker

# How much of a worker's life a pool's state shows: that of its most useful worker.
_BY_USE = (
    WorkerState.BUSY,
    WorkerState.READY,
    WorkerState.STARTING,
    WorkerState.STOPPING,
    WorkerState.FAILED,
    WorkerState.STOPPED,
)


class WorkerPool:
    """The workers of one model. Lives on the event loop.

    A dead worker makes the pool smaller, never ends it: the pool has a problem when all its workers have one.
    """

    def __init__(self, name: str, workers: Sequence[Worker]) -> None:
        self.name = name
        self._workers = workers

    @property
    def state(self) -> WorkerState:
        """The state of the most useful worker."""
        return min((worker.state for worker in self._workers), key=_BY_USE.index)

    @property
    def model_info(self) -> ModelInfo | None:
        """The loaded model's information, while a worker has one loaded."""
        return next((worker.model_info for worker in self._workers if worker.model_info), None)

    @property
    def alive(self) -> bool:
        """Whether there is a worker process."""
        return any(worker.alive for worker in self._workers)

    @property
    def problem(self) -> str | None:
        """Why no worker is started any more, in a sentence; None where one would be."""
        problems = [worker.problem for worker in self._workers]
        return problems[0] if all(problems) else None

    @property
    def last_failure(self) -> str | None:
        """How the last worker died, in a sentence, while it is not started again."""
        return next((worker.failure for worker in self._workers if worker.failure), None)

    def subscribe(self, on_change: Callable[[], None]) -> None:
        """Call `on_change` whenever a worker's state or its free slots change."""
        for worker in self._workers:
            worker.subscribe(on_change)

    def try_acquire(self, *, exclusive: bool, reserved: set[Worker]) -> Slot | None:
        """Return a slot of the least loaded worker, None where none is free.

        An `exclusive` slot needs a worker without other jobs. One that has some is added to `reserved`, and
        drains: the caller passes that set along for the other jobs that it tries in the same round.
        """
        workers = [worker for worker in self._workers if worker not in reserved]
        healthy = [worker for worker in workers if worker.problem is None] or workers
        if exclusive and healthy:
            worker = min(healthy, key=lambda worker: worker.in_flight)
            slot = worker.try_acquire(exclusive=True)
            if slot is None:
                reserved.add(worker)
            return slot
        for worker in sorted(healthy, key=lambda worker: worker.in_flight):
            slot = worker.try_acquire(exclusive=False)
            if slot is not None:
                return slot
        return None

    async def load(self, on_progress: OnProgress) -> None:
        """Start every worker, whatever happened before, and wait until the model is loaded.

        Raises WorkerFailed.
        """
        await asyncio.gather(*(worker.load(on_progress) for worker in self._workers))

    async def stop(self) -> bool:
        """Kill every worker and wait until all are reaped; False where none ran."""
        return any(await asyncio.gather(*(worker.stop() for worker in self._workers)))

    async def memory_bytes(self) -> int:
        """Return the memory that the workers hold, on this machine and on devices of their own."""
        return sum(await asyncio.gather(*(worker.memory_bytes() for worker in self._workers)))

    async def status(self) -> dict[str, WorkerStatus]:
        """Return the status of every worker, by its name."""
        return {worker.name: await worker.status() for worker in self._workers}

    @asynccontextmanager
    async def pause(self) -> AsyncIterator[None]:
        """Keep all workers stopped for the length of a block; those that were loaded are loaded again."""
        async with AsyncExitStack() as stack:
            for worker in self._workers:
                await stack.enter_async_context(worker.pause())
            yield

    async def close(self) -> None:
        """Kill the workers for good."""
        await asyncio.gather(*(worker.close() for worker in self._workers))
