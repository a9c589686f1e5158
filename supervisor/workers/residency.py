"""Residency: which models each device holds, and the eviction of the least recently used idle one."""

import asyncio
import logging
from collections.abc import Callable, Collection, Container, Iterable

from shared.errors import WorkerReplaced
from supervisor.workers.device import Device
from supervisor.workers.state import WorkerState
from supervisor.workers.worker import Worker

log = logging.getLogger("supervisor.residency")


class Residency:
    """Bounds the number of models on each device to `limit`. Lives on the event loop.

    `list_workers` returns the workers of every model. `cluster_limit` is the bound for the cluster, whose
    actors reserve what they take.
    """

    def __init__(
        self, limit: int, list_workers: Callable[[], Iterable[Worker]], cluster_limit: int = 1
    ) -> None:
        self._limit = limit
        self._cluster_limit = cluster_limit
        self._list_workers = list_workers
        self._changed = asyncio.Event()
        self.auto: Device | None = None  # the device that "auto" has turned out to be

    def note_change(self) -> None:
        """Wake those that wait for room: a worker's state or its free slots have changed."""
        self._changed.set()

    def has_room(self, worker: Worker, claims: Collection[Worker] = ()) -> bool:
        """Whether the worker's device holds its model, or may hold one more, besides those of `claims`.

        A worker that is being ended has none: the room that an eviction makes is for another model.
        """
        if worker.state is WorkerState.STOPPING:
            return False
        others = [*self._find_others(worker), *(each for each in claims if self._share_device(each, worker))]
        return worker.resident or len(others) < self._find_limit(worker)

    def find_idle(self, worker: Worker, spared: Container[str] = ()) -> Worker | None:
        """Return the idle worker to evict for another one: the least recently used; None where none is.

        Models in `spared` are not evicted. While a process ends on that device, none is needed.
        """
        others = self._find_others(worker)
        if any(other.state is WorkerState.STOPPING for other in others):
            return None
        idle = [other for other in others if other.idle and other.model not in spared]
        return min(idle, key=lambda other: other.last_used_s, default=None)

    def find_oldest(self, worker: Worker) -> Worker | None:
        """Return the worker on the same device that another model has used longest ago, idle or not."""
        return min(self._find_others(worker), key=lambda other: other.last_used_s, default=None)

    def evict(self, victim: Worker, worker: Worker) -> None:
        """Kill an idle worker, to make room for another one; the room is there once the process has ended."""
        log.info("model evicted", extra={"worker": victim.name, "for": worker.name})
        victim.kill(WorkerReplaced(f"The model was evicted for {worker.model}."))

    async def make_room(self, worker: Worker) -> None:
        """Return once the worker's device may hold its model, for which idle models are evicted."""
        while not worker.alive and len(self._find_others(worker)) >= self._find_limit(worker):
            self._changed.clear()
            victim = self.find_idle(worker)
            if victim is not None:
                self.evict(victim, worker)
            await self._changed.wait()

    async def evict_idle(self, worker: Worker) -> bool:
        """Evict the other models in the memory of the worker's device that are idle; False where none was."""
        cpu = self._device(worker).is_cpu  # whose workers share one memory
        others = self._list_workers() if cpu else self._find_others(worker)
        idle = [
            other
            for other in others
            if other is not worker and other.idle and self._device(other).is_cpu == cpu
        ]
        for victim in idle:
            self.evict(victim, worker)
        await asyncio.gather(*(victim.stop(f"eviction for {worker.model}") for victim in idle))
        return bool(idle)

    def _find_limit(self, worker: Worker) -> int:
        return self._cluster_limit if worker.device.is_cluster else self._limit

    def _find_others(self, worker: Worker) -> list[Worker]:
        """Return the other workers that their device, which is also this worker's, holds."""
        return [
            other
            for other in self._list_workers()
            if other is not worker and other.resident and self._share_device(other, worker)
        ]

    def _share_device(self, one: Worker, other: Worker) -> bool:
        return self._device(one).name == self._device(other).name

    def _device(self, worker: Worker) -> Device:
        return self.auto if self.auto and worker.device.name == "auto" else worker.device
