"""A worker: one model on one device. Runs jobs in its process, which it loads, and ends when idle."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import BgremoveError, OutOfMemory, WorkerReplaced
from shared.messages import DeviceSelected, ModelInfo, RemovalJob, RemovalResult
from supervisor.platform.process_memory import rss_bytes
from supervisor.workers.device import Device
from supervisor.workers.handle import WorkerHandle
from supervisor.workers.slots import Slot
from supervisor.workers.spec import OnProgress, WorkerSpec, WorkerStatus
from supervisor.workers.state import WorkerState
from supervisor.workers.supervised_process import SupervisedProcess

if TYPE_CHECKING:
    from supervisor.workers.residency import Residency

log = logging.getLogger("supervisor.worker")

# Returns how to start the process on a device; asked before every start.
Prepare = Callable[[Device], Awaitable[WorkerSpec]]


class Worker:
    """Runs jobs, as many at the same time as its model takes. Lives on the event loop.

    `keep_alive_s` is how long an idle process lives, None for no limit. `residency` makes room on the device
    for a load on request.
    """

    def __init__(
        self,
        model: str,
        device: Device,
        prepare: Prepare,
        log_folder: Path,
        keep_alive_s: float | None = None,
        residency: "Residency | None" = None,
    ) -> None:
        self.model = model
        self.device = device
        self.jobs_done = 0
        self.last_used_s = 0.0  # monotonic seconds
        self.process = SupervisedProcess(self, lambda: prepare(self.device), log_folder)
        self._keep_alive_s = keep_alive_s
        self._residency = residency
        self._loads = 0  # loads on request that are under way
        self._idle_timer: asyncio.TimerHandle | None = None
        self._listeners: list[Callable[[], None]] = []
        self._slots: set[Slot] = set()
        self._paused = False
        self._reloading: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """The worker's id, `model@device`."""
        return f"{self.model}@{self.device.name}"

    @property
    def state(self) -> WorkerState:
        """The state of the process."""
        return self.process.state

    @property
    def alive(self) -> bool:
        """Whether there is a process."""
        return self.pid is not None

    @property
    def resident(self) -> bool:
        """Whether the device holds the model, or is about to."""
        return self.alive or bool(self._slots) or self._loads > 0

    @property
    def idle(self) -> bool:
        """Whether the model is loaded and no job has a slot."""
        return self.state is WorkerState.READY and not self._slots and not self._loads

    @property
    def pid(self) -> int | None:
        """The process id, while there is a process."""
        return self.process.handle.pid if self.process.handle else None

    @property
    def model_info(self) -> ModelInfo | None:
        """The loaded model's information, while one is loaded."""
        loaded = self.state in (WorkerState.READY, WorkerState.BUSY)
        return self.process.handle.model_info if loaded and self.process.handle else None

    @property
    def selected(self) -> DeviceSelected | None:
        """The device that the process has selected, while there is a process that had to."""
        return self.process.handle.selected if self.process.handle else None

    @property
    def problem(self) -> str | None:
        """Why no process is started any more, in a sentence; None where one would be."""
        return self.process.problem

    @property
    def failure(self) -> str | None:
        """How the last process died, in a sentence, while no other one was started."""
        last = self.process.last_exit
        return last.detail if self.state is WorkerState.FAILED and last else None

    @property
    def in_flight(self) -> int:
        """How many jobs there are: slots taken, and cancelled jobs that run on."""
        return len(self._slots) + (self.process.handle.abandoned if self.process.handle else 0)

    def subscribe(self, on_change: Callable[[], None]) -> None:
        """Call `on_change` whenever the state or the free slots change."""
        self._listeners.append(on_change)

    def try_acquire(self, *, exclusive: bool) -> Slot | None:
        """Return a free slot, if any. There is one until the model is loaded, then `max_concurrency`."""
        capacity = self.model_info.max_concurrency if self.model_info else 1
        if (exclusive or self.runs_exclusive_job()) and not self.device.is_cluster:
            capacity = 1  # in a cluster, the bridge finds it an actor of its own
        if self._paused or self.in_flight >= capacity:
            return None
        slot = Slot(self, exclusive)
        self._slots.add(slot)
        return slot

    def release(self, slot: Slot) -> None:
        """Take a slot back."""
        self._slots.discard(slot)
        self._notify()

    async def run(self, job: RemovalJob, on_progress: OnProgress) -> RemovalResult:
        """Run a job, as `Slot.run` does."""
        handle = await self.ensure_loaded(on_progress)
        result = await handle.run(job, on_progress)
        self.process.policy.reset()
        self.jobs_done += 1
        return result

    async def load(self, on_progress: OnProgress) -> None:
        """Start the process if need be, whatever happened before, and wait until its model is loaded.

        Raises WorkerFailed.
        """
        self.process.policy.reset()
        if self._residency is not None:
            await self._residency.make_room(self)
        self._loads += 1
        try:
            await self.ensure_loaded(on_progress)
        finally:
            self._loads -= 1
            self._notify()

    async def ensure_loaded(self, on_progress: OnProgress) -> WorkerHandle:
        """Return the handle of a process with the model loaded.

        A load that fails for memory is tried once more, if idle models could be evicted for it.
        """
        handle = await self.process.ensure()
        try:
            await handle.wait_ready(on_progress)
        except OutOfMemory:
            if self._residency is None or not await self._residency.evict_idle(self):
                raise
            handle = await self.process.ensure()
            await handle.wait_ready(on_progress)
        return handle

    def kill(self, cause: WorkerReplaced) -> None:
        """Kill the process, if there is one; it is reaped later."""
        self.process.kill(cause)

    async def stop(self, cause: str) -> bool:
        """Kill the process for this cause and wait until it is reaped; False where none ran."""
        return await self.process.stop(cause)

    @asynccontextmanager
    async def pause(self) -> AsyncIterator[None]:
        """Keep the process stopped for the length of a block, while its packages change.

        Jobs wait meanwhile. A model that was loaded or loading is loaded again at the end, in the background.
        """
        loaded = False
        self._paused = True
        try:
            async with self.process.hold_stopped() as loaded:
                yield
        finally:
            self._paused = False
            self.process.policy.reset()
            self._notify()
            if loaded:
                self._reloading = asyncio.create_task(self._reload())

    async def close(self) -> None:
        """Kill the process for good."""
        if self._reloading is not None:
            self._reloading.cancel()
        await self.stop("end of the service")

    async def memory_bytes(self) -> int:
        """Return the memory that the process holds, on this machine and on a device of its own."""
        rss = await asyncio.to_thread(rss_bytes, self.pid) if self.pid else None
        return (rss or 0) + (self.model_info.device_memory_bytes if self.model_info else 0)

    async def status(self) -> WorkerStatus:
        """Return the worker's status; the process's memory is asked of the operating system."""
        starts = self.process.starts
        return {
            "id": self.name,
            "model": self.model,
            "device": self.device.name,
            "state": self.state,
            "pid": self.pid,
            "generation": starts,
            "restarts": max(0, starts - 1),
            "rss_bytes": await asyncio.to_thread(rss_bytes, self.pid) if self.pid else None,
            "device_memory_bytes": self.model_info.device_memory_bytes if self.model_info else None,
            "jobs_done": self.jobs_done,
            "last_exit": self.process.last_exit,
            "problem": self.problem,
            "nodes": self.process.handle.nodes if self.process.handle else [],
        }

    async def _reload(self) -> None:
        try:
            await self.load(lambda _percent, _message: None)
        except BgremoveError as error:
            log.warning("worker reload failed", extra={"worker": self.name, "reason": error.detail})

    def runs_exclusive_job(self) -> bool:
        """Whether the only job is one that has killed a process before."""
        return any(slot.exclusive for slot in self._slots)

    def handle_change(self) -> None:
        """Note that the state of the process has changed."""
        self.last_used_s = time.monotonic()
        self._restart_idle_timer()
        self._notify()

    def _notify(self) -> None:
        for listener in self._listeners:
            listener()

    def _restart_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        if self._keep_alive_s is not None and self.state is WorkerState.READY:
            idle = WorkerReplaced(f"The worker was idle for {self._keep_alive_s:g} s.")
            loop = asyncio.get_running_loop()
            self._idle_timer = loop.call_later(self._keep_alive_s, self.kill, idle)
