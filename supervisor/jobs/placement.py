"""Placement: which waiting jobs get a worker's slot now, in one round over the queue."""

from collections.abc import Iterable

from supervisor.jobs.ends import Entry
from supervisor.models.lifecycle import ModelLifecycle
from supervisor.workers.pool import WorkerPool
from supervisor.workers.residency import Residency
from supervisor.workers.slots import Slot
from supervisor.workers.worker import Worker

MAX_OVERTAKING = 32  # jobs that may overtake one whose model is not loaded


def is_due(entry: Entry) -> bool:
    """Whether so many jobs have overtaken this one that no other may."""
    return entry.overtaken_by >= MAX_OVERTAKING


class PlacementRound:
    """One round over the waiting jobs: first those that are due, then the others, in the order of the queue.

    A job whose model no device has room for waits while other models' jobs overtake it, so that two models
    that are asked for in turns are not loaded in turns. After `MAX_OVERTAKING` of them it is a loaded model's
    turn to end. `wanted` are the models that jobs wait for.
    """

    def __init__(self, residency: Residency, wanted: Iterable[str]) -> None:
        self._residency = residency
        self._wanted = set(wanted)
        self._reserved: set[Worker] = set()  # workers that drain: for jobs that run alone, or to be evicted
        self._claims: list[Worker] = []  # whose devices are to hold a due job's model next
        self._overtaken: list[Entry] = []

    def try_acquire(self, entry: Entry, model: ModelLifecycle) -> Slot | None:
        """Return a slot for a job, None where it has to wait."""
        pool = model.pool
        slot = pool.try_acquire(
            exclusive=entry.job.exclusive,
            reserved=self._reserved,
            has_room=self._has_room,
            avoided=entry.avoided,
        )
        if slot is not None:
            for overtaken in self._overtaken:
                overtaken.overtaken_by += 1
        elif not pool.resident:
            self._overtaken.append(entry)
            self._make_room(pool, is_due=is_due(entry))
        return slot

    def _has_room(self, worker: Worker) -> bool:
        return self._residency.has_room(worker, self._claims)

    def _make_room(self, pool: WorkerPool, *, is_due: bool) -> None:
        """Evict an idle model that no job waits for; once the job is due any, which drains first."""
        spared = frozenset[str]() if is_due else self._wanted
        if is_due:
            self._claims += pool.workers
        for worker in pool.workers:
            victim = self._residency.find_idle(worker, spared)
            if victim is not None:
                self._residency.evict(victim, worker)
                return
        if is_due and pool.workers:
            oldest = self._residency.find_oldest(pool.workers[0])
            if oldest is not None:
                self._reserved.add(oldest)
