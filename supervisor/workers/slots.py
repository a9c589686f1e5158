"""Slots: the right to run one job on a worker at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.messages import RemovalJob, RemovalResult
    from supervisor.workers.spec import OnProgress
    from supervisor.workers.worker import Worker


@dataclass(eq=False, slots=True)
class Slot:
    """The right to run one job on a worker at a time. An `exclusive` one allows no other job there.

    `loaded`: the worker had its model when it was given the job; if it failed before, that is not the job's
    doing.
    """

    worker: Worker
    exclusive: bool
    loaded: bool = False

    async def run(self, job: RemovalJob, on_progress: OnProgress) -> RemovalResult:
        """Run a job, starting the worker first if need be.

        Raises the job's own error, WorkerReplaced if the worker was ended on request, or another WorkerFailed
        if it died. Cancelling stops the job.
        """
        await self.worker.ensure_loaded(on_progress)
        self.loaded = True
        return await self.worker.run(job, on_progress)

    def release(self) -> None:
        """Give the slot back."""
        self.worker.release(self)
