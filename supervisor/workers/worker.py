"""Keeps at most one live worker of a kind, and says why when there is none."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from shared.errors import BgremoveError, WorkerFailed, WorkerReplaced, WorkerStartFailed
from shared.messages import ModelInfo, RemovalJob, RemovalResult
from supervisor.jobs.queue import Turn, Turns
from supervisor.jobs.task import OnProgress
from supervisor.platform.private_dir import make_private_dir
from supervisor.workers.handle import (
    WorkerExit,
    WorkerHandle,
    WorkerSpec,
)
from supervisor.workers.restart_policy import RestartPolicy
from supervisor.workers.state import WorkerEvent, WorkerState, transition

ATTEMPTS = 2
log = logging.getLogger("supervisor.worker")

Prepare = Callable[[OnProgress], Awaitable[WorkerSpec]]


class Worker:
    """Starts a worker when one is needed, replaces it when it dies, ends it on request or when idle.

    `prepare` is asked before every start how to start; it may fetch what is missing. `keep_alive_s` is how
    long an idle worker lives, None for ever. Lives on the event loop; every change of state happens there,
    through the one transition table.
    """

    def __init__(
        self, name: str, prepare: Prepare, log_folder: Path, keep_alive_s: float | None = None
    ) -> None:
        self.name = name
        self.state = WorkerState.STOPPED
        self.starts = 0
        self.last_exit: WorkerExit | None = None
        self._prepare = prepare
        self._log_folder = log_folder
        self._keep_alive_s = keep_alive_s
        self._idle: asyncio.TimerHandle | None = None
        self.turns = Turns(lambda: self.model_info.max_concurrency if self.model_info else 1)
        self._policy = RestartPolicy()
        self._generation: WorkerHandle | None = None
        self._starting = asyncio.Lock()
        self._reloading: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The worker's process id, while there is one."""
        return self._generation.pid if self._generation else None

    @property
    def model_info(self) -> ModelInfo | None:
        """What the loaded model says of itself, while one is loaded."""
        loaded = self.state in (WorkerState.READY, WorkerState.BUSY)
        return self._generation.model_info if loaded and self._generation else None

    @property
    def problem(self) -> str | None:
        """Why no worker is started any more, in a sentence; None where one would be."""
        if not self._policy.circuit_open:
            return None
        last = self.last_exit.detail if self.last_exit else ""
        said = "The worker died too often: a load or a restart starts it again, or a removal minutes later."
        return f"{said} {last}".strip()

    async def load(self, on_progress: OnProgress) -> ModelInfo:
        """Start the worker if need be, whatever happened before, and wait until its model is loaded.

        Raises WorkerFailed.
        """
        self._policy.reset()
        return await (await self._live_generation(on_progress)).ready(on_progress)

    async def remove(self, job: RemovalJob, on_progress: OnProgress, turn: Turn) -> RemovalResult:
        """Have one photo cut out, in its turn. A removal whose worker dies is tried once more, alone."""
        failures = 0
        while True:
            try:
                result = await self._attempt(job, on_progress)
            except WorkerReplaced:  # on somebody's request: not the photo's fault
                continue
            except WorkerFailed as error:
                failures += 1
                if failures == ATTEMPTS:
                    raise
                log.warning("removal put back", extra={"task_id": job.task_id, "reason": error.code})
                await turn.again_alone()
            else:
                self._policy.reset()
                return result

    async def stop(self) -> bool:
        """End the worker and wait until it is reaped; False where none ran."""
        generation = self._generation
        if generation is None:
            if self.state is WorkerState.FAILED:
                self._change(WorkerEvent.KILL)
            return False
        generation.kill(WorkerReplaced())
        await generation.exited.wait()
        return True

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Keep the worker ended for the length of a block, for as long as its packages change.

        Removals wait. A model that was there or on its way is loaded again at the end, in the background.
        """
        loaded = False
        try:
            async with self._starting:
                loaded = self.state in (WorkerState.STARTING, WorkerState.READY, WorkerState.BUSY)
                await self.stop()
                yield
        finally:
            self._policy.reset()
            if loaded:
                self._reloading = asyncio.create_task(self._reload())

    async def close(self) -> None:
        """End the worker for good."""
        if self._reloading is not None:
            self._reloading.cancel()
        await self.stop()

    async def _reload(self) -> None:
        try:
            await self.load(lambda _percent, _message: None)
        except BgremoveError as error:
            log.warning("worker did not come back", extra={"worker": self.name, "reason": error.detail})

    async def _attempt(self, job: RemovalJob, on_progress: OnProgress) -> RemovalResult:
        generation = await self._live_generation(on_progress)
        await generation.ready(on_progress)
        return await generation.remove(job, on_progress)

    async def _live_generation(self, on_progress: OnProgress) -> WorkerHandle:
        async with self._starting:
            generation = self._generation
            if generation is not None and generation.doomed:
                await generation.exited.wait()
                generation = self._generation
            if generation is None:
                if self.problem is not None:
                    raise WorkerStartFailed(self.problem)
                await asyncio.sleep(self._policy.wait_s)
                generation = self._start(await self._prepare(on_progress))
            return generation

    def _start(self, spec: WorkerSpec) -> WorkerHandle:
        folder = make_private_dir(self._log_folder)
        self.starts += 1
        log_path = folder / f"{self.name}-{self.starts}.log"
        generation = WorkerHandle(self.starts, spec, log_path, self._change)
        self._generation = generation
        self._change(WorkerEvent.START)
        return generation

    def _change(self, event: WorkerEvent) -> None:
        before, self.state = self.state, transition(self.state, event)
        log.info("worker", extra={"worker": self.name, "was": before, "now": self.state, "pid": self.pid})
        if event is WorkerEvent.EXITED and self._generation is not None:
            self.last_exit = self._generation.exit
            self._generation = None
            if self.state is WorkerState.FAILED:
                self._policy.died()
                self._tell_of_death()
        self._watch_idleness()
        self.turns.admit()

    def _tell_of_death(self) -> None:
        if died := self.last_exit:
            told = {"worker": self.name, "pid": died.pid, "code": died.code, "reason": died.reason}
            said = "\n".join(died.stderr)
            log.warning("worker died", extra={**told, "detail": died.detail, "said": said})

    def _watch_idleness(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._keep_alive_s is not None and self.state is WorkerState.READY and self._generation:
            idle = WorkerReplaced(f"The worker was idle for {self._keep_alive_s:g} s.")
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(self._keep_alive_s, self._generation.kill, idle)
