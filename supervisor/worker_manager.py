"""Keeps at most one live worker of a kind, and says why when there is none."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from shared.errors import WorkerFailed, WorkerReplaced
from shared.messages import Ready, RemovalJob, RemovalResult
from supervisor.worker_generation import (
    OnProgress,
    WorkerExit,
    WorkerGeneration,
    WorkerSpec,
)
from supervisor.worker_state import WorkerEvent, WorkerState, transition

ATTEMPTS = 2
log = logging.getLogger("supervisor.worker")

Prepare = Callable[[OnProgress], Awaitable[WorkerSpec]]


class WorkerManager:
    """Starts a worker when one is needed, replaces it when it dies, ends it on request.

    `prepare` is asked before every start how to start; it may fetch what is missing. Lives on the event
    loop; every change of state happens there, through the one transition table.
    """

    def __init__(self, name: str, prepare: Prepare, log_folder: Path) -> None:
        self.name = name
        self.state = WorkerState.STOPPED
        self.starts = 0
        self.last_exit: WorkerExit | None = None
        self._prepare = prepare
        self._log_folder = log_folder
        self._generation: WorkerGeneration | None = None
        self._starting = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """The worker's process id, while there is one."""
        return self._generation.pid if self._generation else None

    @property
    def facts(self) -> Ready | None:
        """What the loaded model says of itself, while one is loaded."""
        loaded = self.state in (WorkerState.READY, WorkerState.BUSY)
        return self._generation.facts if loaded and self._generation else None

    async def load(self, on_progress: OnProgress) -> Ready:
        """Start the worker if need be and wait until its model is loaded. Raises WorkerFailed."""
        return await (await self._live_generation(on_progress)).ready(on_progress)

    async def remove(self, job: RemovalJob, on_progress: OnProgress) -> RemovalResult:
        """Have one photo cut out. A removal whose worker dies is tried once more on a new one."""
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._attempt(job, on_progress)
            except WorkerReplaced:
                attempt -= 1
            except WorkerFailed as error:
                if attempt == ATTEMPTS:
                    raise
                log.warning("removal put back", extra={"task_id": job.task_id, "reason": error.code})

    async def stop(self) -> bool:
        """End the worker and wait until it is reaped; False where none ran."""
        generation = self._generation
        if generation is None:
            return False
        generation.kill(WorkerReplaced())
        await generation.exited.wait()
        return True

    async def _attempt(self, job: RemovalJob, on_progress: OnProgress) -> RemovalResult:
        generation = await self._live_generation(on_progress)
        await generation.ready(on_progress)
        return await generation.remove(job, on_progress)

    async def _live_generation(self, on_progress: OnProgress) -> WorkerGeneration:
        async with self._starting:
            generation = self._generation
            if generation is not None and generation.doomed:
                await generation.exited.wait()
                generation = self._generation
            if generation is None:
                generation = self._start(await self._prepare(on_progress))
            return generation

    def _start(self, spec: WorkerSpec) -> WorkerGeneration:
        self.starts += 1
        self._change(WorkerEvent.START)
        log_path = self._log_folder / f"{self.name}-{self.starts}.log"
        log_path.parent.mkdir(parents=True, exist_ok=True)
        generation = WorkerGeneration(self.starts, spec, log_path, self._change)
        self._generation = generation
        return generation

    def _change(self, event: WorkerEvent) -> None:
        before, self.state = self.state, transition(self.state, event)
        log.info("worker", extra={"worker": self.name, "was": before, "now": self.state, "pid": self.pid})
        if event is WorkerEvent.EXITED and self._generation is not None:
            self.last_exit = self._generation.exit
            self._generation = None
