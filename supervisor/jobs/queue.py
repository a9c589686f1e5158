"""The job queue: bounded (rate limiting), first in first out for one client, round robin between clients."""

import itertools
from bisect import insort
from collections import OrderedDict, deque
from collections.abc import Iterator

from shared.errors import QueueFull
from supervisor.jobs.job import Job


class JobQueue:
    """In-memory queue of the jobs that wait for a worker.

    `limit` bounds the jobs that were admitted and are not done: being fetched, waiting or leased. Iterating
    gives the waiting jobs in the order of their turns, so that a client with many jobs does not delay
    another client's single one by more than one job.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._admitted: set[str] = set()
        self._waiting: dict[str, Job] = {}
        self._retries: list[Job] = []  # those that were leased first come first
        self._lease_numbers: dict[str, int] = {}
        self._next_number = itertools.count()
        self._clients: OrderedDict[str, OrderedDict[str, Job]] = OrderedDict()  # the next client first

    def __len__(self) -> int:
        """Return the number of jobs that were admitted and are not done."""
        return len(self._admitted)

    def __iter__(self) -> Iterator[Job]:
        """Iterate over the waiting jobs: first those to retry, then one of each client in turn."""
        yield from self._retries
        pending = deque(iter(jobs.values()) for jobs in self._clients.values())
        while pending:
            jobs = pending.popleft()
            job = next(jobs, None)
            if job is not None:
                yield job
                pending.append(jobs)

    def __contains__(self, job_id: str) -> bool:
        """Return whether a job waits: it is neither being fetched nor leased."""
        return job_id in self._waiting

    def admit(self, job_id: str) -> None:
        """Reserve a place for a job that does not wait yet. Raises QueueFull."""
        if len(self) >= self.limit:
            raise QueueFull(f"The queue is full with {self.limit} removals; try again shortly.")
        self._admitted.add(job_id)

    def readmit(self, job_id: str) -> None:
        """Reserve a place for a job that was admitted before a restart, whatever the limit is now."""
        self._admitted.add(job_id)

    def put(self, job: Job) -> None:
        """Queue an admitted job behind its client's other jobs."""
        self._waiting[job.id] = job
        self._clients.setdefault(job.client, OrderedDict())[job.id] = job

    def put_first(self, job: Job) -> None:
        """Queue a leased job again, before all that were not leased yet; in the order of first leases."""
        self._waiting[job.id] = job
        insort(self._retries, job, key=lambda each: self._lease_numbers[each.id])

    def lease(self, job: Job) -> None:
        """Remove a waiting job, to run it. Its client's next job comes after those of the other clients."""
        self._remove(job)
        self._lease_numbers.setdefault(job.id, next(self._next_number))
        if job.client in self._clients:
            self._clients.move_to_end(job.client)

    def finish(self, job_id: str) -> None:
        """Release the place of a job that has ended, whether it waited or was leased."""
        if job_id in self._waiting:
            self._remove(self._waiting[job_id])
        self._admitted.discard(job_id)
        self._lease_numbers.pop(job_id, None)

    def _remove(self, job: Job) -> None:
        del self._waiting[job.id]
        if job in self._retries:
            self._retries.remove(job)
            return
        jobs = self._clients[job.client]
        del jobs[job.id]
        if not jobs:
            del self._clients[job.client]
