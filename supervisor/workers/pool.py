"""The worker pool of one model: a worker per device, and a choice among them for each job."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

from shared.errors import BgremoveError, WorkerReplaced
from shared.messages import DeviceSelected, ModelInfo
from supervisor.workers.device import Device
from supervisor.workers.revival import Revivals
from supervisor.workers.slots import Slot
from supervisor.workers.spec import OnProgress, WorkerStatus
from supervisor.workers.state import WorkerState
from supervisor.workers.worker import Worker

# How much of a worker's life a pool's state shows: that of its most useful worker.
_BY_USE = (
    WorkerState.BUSY,
    WorkerState.READY,
    WorkerState.STARTING,
    WorkerState.STOPPING,
    WorkerState.FAILED,
    WorkerState.STOPPED,
)
log = logging.getLogger("supervisor.pool")


class WorkerPool:
    """The workers of one model, one per device. Lives on the event loop.

    A dead worker makes the pool smaller, never ends it: the pool has a problem when all its workers have one.
    While others work, a dead one is started again in the background, with back-off. At most `replicas`
    workers live at the same time, None for one on each device. The device "auto" is replaced by the devices
    that its worker reports before it loads the model, which may fail on its own.
    """

    def __init__(
        self,
        name: str,
        devices: Sequence[Device],
        make_worker: Callable[[Device], Worker],
        replicas: int | None = None,
    ) -> None:
        self.name = name
        self.replicas = replicas
        self._make_worker = make_worker
        self._listeners: list[Callable[[], None]] = []
        self._revivals = Revivals(lambda: self.alive, self._lacks_replica)
        self.workers = [self._add(device) for device in devices]

    @property
    def state(self) -> WorkerState:
        """The state of the most useful worker."""
        return min((worker.state for worker in self.workers), key=_BY_USE.index)

    @property
    def model_info(self) -> ModelInfo | None:
        """The loaded model's information, while a worker has one loaded."""
        return next((worker.model_info for worker in self.workers if worker.model_info), None)

    @property
    def load_factor(self) -> float:
        """The share of the slots that have jobs, 0 to 1; cancelled jobs that run on count as well."""
        loaded = [worker for worker in self.workers if worker.model_info]
        slots = sum(worker.model_info.max_concurrency for worker in loaded if worker.model_info)
        return sum(worker.in_flight for worker in loaded) / slots if slots else 1.0

    @property
    def is_loaded(self) -> bool:
        """Whether every device has the model that may have it, but for those where it could not be loaded."""
        return self.model_info is not None and not self._can_grow()

    @property
    def alive(self) -> bool:
        """Whether there is a worker process."""
        return any(worker.alive for worker in self.workers)

    @property
    def resident(self) -> bool:
        """Whether a device holds the model, or is about to."""
        return any(worker.resident for worker in self.workers)

    @property
    def problem(self) -> str | None:
        """Why no worker is started any more, in a sentence; None where one would be."""
        problems = [worker.problem for worker in self.workers]
        return problems[0] if all(problems) else None

    @property
    def last_failure(self) -> str | None:
        """How the last worker died, in a sentence, while no other one works and it is not started again."""
        if self.model_info is not None:
            return None
        return next((worker.failure for worker in self.workers if worker.failure), None)

    @property
    def last_used_at(self) -> datetime | None:
        """When a worker's state changed last, in UTC; None for a model that was never loaded."""
        last_s = max(worker.last_used_s for worker in self.workers)
        return datetime.now(UTC) - timedelta(seconds=time.monotonic() - last_s) if last_s else None

    def subscribe(self, on_change: Callable[[], None]) -> None:
        """Call `on_change` whenever a worker's state or its free slots change."""
        self._listeners.append(on_change)

    def try_acquire(
        self,
        *,
        exclusive: bool,
        reserved: set[Worker],
        has_room: Callable[[Worker], bool] = lambda _: True,
        avoided: Worker | None = None,
    ) -> Slot | None:
        """Return a slot of the least loaded worker whose model is loaded, else of one to start; None: wait.

        An `exclusive` slot needs a worker without other jobs. One that has some is added to `reserved`, and
        drains: the caller passes that set along for the other jobs that it tries in the same round. The
        `avoided` worker, where the job's process has died, is for when no other one works.
        """
        working = [each for each in self.workers if each.model_info and not each.problem]
        barred = reserved | ({avoided} if set(working) - {avoided} else set())
        loaded = [worker for worker in working if worker not in barred]
        startable = [worker for worker in self._find_startable() if worker not in barred]
        usable = [*sorted(loaded, key=lambda worker: worker.in_flight), *filter(has_room, startable)]
        for worker in usable:
            slot = worker.try_acquire(exclusive=exclusive)
            if slot is not None:
                return slot
        if exclusive and usable:
            reserved.add(min(usable, key=lambda worker: worker.in_flight))
        return None

    def _find_startable(self) -> Collection[Worker]:
        """Return the workers that a job may start, by preference; dead ones while no other one lives only."""
        idle = [worker for worker in self.workers if worker.model_info is None or worker.problem]
        if self.problem is None:
            idle = [worker for worker in idle if worker.problem is None]
        if not self._lacks_replica():
            idle = [worker for worker in idle if worker.resident]
        if self.alive:
            idle = [
                each for each in idle if each.state is not WorkerState.FAILED and each not in self._revivals
            ]
        return sorted(idle, key=lambda worker: (worker.in_flight, worker.state is WorkerState.FAILED))

    def has_alternative(self, failed: Worker) -> bool:
        """Whether a job may go to another worker than one that could not load the model."""
        others = [each for each in self.workers if each is not failed]
        return any(each.resident and each.problem is None for each in others) or self._can_grow()

    async def load(self, on_progress: OnProgress, replicas: int | None = None) -> None:
        """Start the workers, whatever happened before, and wait until the model is loaded.

        It is loaded if one device has it. Raises WorkerFailed where none has. `replicas` is how many devices
        are to have it, None for as many as the settings say.
        """
        first, *_ = self.workers
        if first.device.is_auto:
            try:
                await first.load(on_progress)  # says which devices there are
            except BgremoveError as error:
                if len(self.workers) == 1 or isinstance(error, WorkerReplaced):
                    raise
        count = wanted = replicas or self.replicas or len(self.workers)
        untried = sorted(self.workers, key=lambda worker: not worker.alive)
        failures: list[BaseException] = []
        while untried and wanted and not any(isinstance(each, WorkerReplaced) for each in failures):
            tried, untried = untried[:wanted], untried[wanted:]
            outcomes = await asyncio.gather(*(one.load(on_progress) for one in tried), return_exceptions=True)
            wanted -= outcomes.count(None)
            failures += [outcome for outcome in outcomes if outcome is not None]
        unexpected = [failure for failure in failures if not isinstance(failure, BgremoveError)]
        if unexpected or wanted == count:
            raise [*unexpected, *failures][0]
        for worker in self.workers:
            if worker.failure is not None:
                log.warning("device skipped", extra={"worker": worker.name, "reason": worker.failure})

    async def stop(self, cause: str) -> bool:
        """Kill every worker for this cause and wait until all are reaped; False where none ran."""
        await self._revivals.cancel()
        return any(await asyncio.gather(*(worker.stop(cause) for worker in self.workers)))

    async def memory_bytes(self) -> int:
        """Return the memory that the workers hold, on this machine and on devices of their own."""
        return sum(await asyncio.gather(*(worker.memory_bytes() for worker in self.workers)))

    async def status(self) -> list[WorkerStatus]:
        """Return the status of every worker."""
        return await asyncio.gather(*(worker.status() for worker in self.workers))

    @asynccontextmanager
    async def pause(self) -> AsyncIterator[None]:
        """Keep all workers stopped for the length of a block; those that were loaded are loaded again."""
        await self._revivals.cancel()
        async with AsyncExitStack() as stack:
            for worker in self.workers:
                await stack.enter_async_context(worker.pause())
            yield

    async def close(self) -> None:
        """Kill the workers for good."""
        self._listeners.clear()
        await self._revivals.cancel()
        await asyncio.gather(*(worker.close() for worker in self.workers))

    def _add(self, device: Device) -> Worker:
        worker = self._make_worker(device)
        worker.subscribe(lambda: self._handle_change(worker))
        return worker

    def _handle_change(self, worker: Worker) -> None:
        selected = worker.selected
        if selected is not None and worker.device.is_auto:
            self._expand(worker, selected)
        for each in self.workers:
            self._revivals.schedule(each)
        for listener in self._listeners:
            listener()

    def _expand(self, worker: Worker, selected: DeviceSelected) -> None:
        """Replace "auto" by the devices that its worker has found: its own, and the others of that kind.

        A worker that has such others keeps its device, or it would take one of theirs once its own is lost.
        """
        worker.device = Device(selected.name, is_auto=not selected.others)
        known = {each.device.name for each in self.workers}
        self.workers += [self._add(Device(name)) for name in selected.others if name not in known]

    def _can_grow(self) -> bool:
        """Whether a device that has not been tried may have the model too."""
        return self._lacks_replica() and any(each.state is WorkerState.STOPPED for each in self.workers)

    def _lacks_replica(self) -> bool:
        """Whether fewer devices have the model than may have it."""
        return self.replicas is None or sum(worker.resident for worker in self.workers) < self.replicas
