"""A worker: supervises one process of one model on one device. Starts it on demand, ends it when idle."""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import BgremoveError, OutOfMemory, WorkerReplaced, WorkerStartFailed
from shared.messages import ModelInfo, RemovalJob, RemovalResult
from supervisor.platform.private_dir import make_private_dir
from supervisor.platform.process_memory import rss_bytes
from supervisor.workers.device import Device
from supervisor.workers.handle import WorkerHandle
from supervisor.workers.restart_policy import RestartPolicy
from supervisor.workers.slots import Slot
from supervisor.workers.spec import OnProgress, WorkerExit, WorkerSpec, WorkerStatus
from supervisor.workers.state import WorkerEvent, WorkerState, transition

if TYPE_CHECKING:
    from supervisor.workers.residency import Residency

SUSPENDED = (
    "The worker crashed repeatedly; automatic restarts are suspended. Retry in a few minutes, or POST "
    "/api/v1/worker/restart."
)
_UNSAFE = re.compile(r"[^\w.@-]")  # in a file's name, on any system
log = logging.getLogger("supervisor.worker")

# Returns how to start the process on a device; asked before every start.
Prepare = Callable[[Device], Awaitable[WorkerSpec]]


class Worker:
    """Keeps at most one live process, with back-off and a circuit breaker between deaths.

    `keep_alive_s` is how long an idle process lives, None for no limit. `residency` makes room on the device
    for a load on request. Lives on the event loop; every change of state happens there, through the
    one transition table.
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
        self.state = WorkerState.STOPPED
        self.starts = 0
        self.jobs_done = 0
        self.last_used_s = 0.0  # monotonic seconds
        self.last_exit: WorkerExit | None = None
        self._prepare = prepare
        self._log_folder = log_folder
        self._keep_alive_s = keep_alive_s
        self._residency = residency
        self._loads = 0  # loads on request that are under way
        self._idle_timer: asyncio.TimerHandle | None = None
        self._listeners: list[Callable[[], None]] = []
        self._slots: set[Slot] = set()
        self._paused = False
        self._policy = RestartPolicy()
        self._handle: WorkerHandle | None = None
        self._starting = asyncio.Lock()
        self._reloading: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """The worker's id, `model@device`."""
        return f"{self.model}@{self.device.name}"

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
        return self._handle.pid if self._handle else None

    @property
    def model_info(self) -> ModelInfo | None:
        """The loaded model's information, while one is loaded."""
        loaded = self.state in (WorkerState.READY, WorkerState.BUSY)
        return self._handle.model_info if loaded and self._handle else None

    @property
    def problem(self) -> str | None:
        """Why no process is started any more, in a sentence; None where one would be."""
        if not self._policy.circuit_open:
            return None
        return f"{SUSPENDED} {self.last_exit.detail if self.last_exit else ''}".strip()

    @property
    def failure(self) -> str | None:
        """How the last process died, in a sentence, while no other one was started."""
        return self.last_exit.detail if self.state is WorkerState.FAILED and self.last_exit else None

    @property
    def in_flight(self) -> int:
        """How many jobs there are: slots taken, and cancelled jobs that run on."""
        return len(self._slots) + (self._handle.abandoned if self._handle else 0)

    def subscribe(self, on_change: Callable[[], None]) -> None:
        """Call `on_change` whenever the state or the free slots change."""
        self._listeners.append(on_change)

    def try_acquire(self, *, exclusive: bool) -> Slot | None:
        """Return a free slot, if any. There is one until the model is loaded, then `max_concurrency`."""
        capacity = self.model_info.max_concurrency if self.model_info else 1
        if exclusive or any(slot.exclusive for slot in self._slots):
            capacity = 1
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
        handle = await self._ready_handle(on_progress)
        result = await handle.run(job, on_progress)
        self._policy.reset()
        self.jobs_done += 1
        return result

    async def load(self, on_progress: OnProgress) -> ModelInfo:
        """Start the process if need be, whatever happened before, and wait until its model is loaded.

        Raises WorkerFailed.
        """
        self._policy.reset()
        if self._residency is not None:
            await self._residency.make_room(self)
        self._loads += 1
        try:
            handle = await self._ready_handle(on_progress)
        finally:
            self._loads -= 1
            self._notify()
        return await handle.wait_ready(on_progress)

    async def _ready_handle(self, on_progress: OnProgress) -> WorkerHandle:
        """Return the handle of a process with the model loaded.

        A load that fails for memory is tried once more, if idle models could be evicted for it.
        """
        handle = await self._live_handle()
        try:
            await handle.wait_ready(on_progress)
        except OutOfMemory:
            if self._residency is None or not await self._residency.evict_idle(self):
                raise
            handle = await self._live_handle()
            await handle.wait_ready(on_progress)
        return handle

    def kill(self, cause: WorkerReplaced) -> None:
        """Kill the process, if there is one; it is reaped later."""
        if self._handle is not None:
            self._handle.kill(cause)

    async def stop(self) -> bool:
        """Kill the process and wait until it is reaped; False where none ran."""
        handle = self._handle
        if handle is None:
            if self.state is WorkerState.FAILED:
                self._change(WorkerEvent.RESET)
            return False
        handle.kill(WorkerReplaced())
        await handle.exited.wait()
        return True

    @asynccontextmanager
    async def pause(self) -> AsyncIterator[None]:
        """Keep the process stopped for the length of a block, while its packages change.

        Jobs wait meanwhile. A model that was loaded or loading is loaded again at the end, in the background.
        """
        loaded = False
        self._paused = True
        try:
            async with self._starting:
                loaded = self.state in (WorkerState.STARTING, WorkerState.READY, WorkerState.BUSY)
                await self.stop()
                yield
        finally:
            self._paused = False
            self._policy.reset()
            self._notify()
            if loaded:
                self._reloading = asyncio.create_task(self._reload())

    async def close(self) -> None:
        """Kill the process for good."""
        if self._reloading is not None:
            self._reloading.cancel()
        await self.stop()

    async def memory_bytes(self) -> int:
        """Return the memory that the process holds, on this machine and on a device of its own."""
        rss = await asyncio.to_thread(rss_bytes, self.pid) if self.pid else None
        return (rss or 0) + (self.model_info.device_memory_bytes if self.model_info else 0)

    async def status(self) -> WorkerStatus:
        """Return the worker's status; the process's memory is asked of the operating system."""
        return {
            "id": self.name,
            "model": self.model,
            "device": self.device.name,
            "state": self.state,
            "pid": self.pid,
            "generation": self.starts,
            "restarts": max(0, self.starts - 1),
            "rss_bytes": await asyncio.to_thread(rss_bytes, self.pid) if self.pid else None,
            "device_memory_bytes": self.model_info.device_memory_bytes if self.model_info else None,
            "jobs_done": self.jobs_done,
            "last_exit": self.last_exit,
            "problem": self.problem,
        }

    async def _reload(self) -> None:
        try:
            await self.load(lambda _percent, _message: None)
        except BgremoveError as error:
            log.warning("worker reload failed", extra={"worker": self.name, "reason": error.detail})

    async def _live_handle(self) -> WorkerHandle:
        async with self._starting:
            handle = self._handle
            if handle is not None and handle.terminating:
                await handle.exited.wait()
                handle = self._handle
            if handle is None:
                if self.problem is not None:
                    raise WorkerStartFailed(self.problem)
                await asyncio.sleep(self._policy.wait_s)
                handle = self._start(await self._prepare(self.device))
            return handle

    def _start(self, spec: WorkerSpec) -> WorkerHandle:
        folder = make_private_dir(self._log_folder)
        number = self.starts + 1
        try:
            log_path = folder / f"{_UNSAFE.sub('-', self.name)}-{number}.log"
            handle = WorkerHandle(number, spec, log_path, self._change)
        except (OSError, RuntimeError) as error:  # the supervisor's own descriptors or threads have run out
            self._policy.record_spawn_failure()
            raise WorkerStartFailed(f"The worker process could not be started: {error}.") from error
        self.starts, self._handle = number, handle
        self._change(WorkerEvent.START)
        return handle

    def _change(self, event: WorkerEvent) -> None:
        before, self.state = self.state, transition(self.state, event)
        states = {"from": before, "to": self.state}
        log.info("worker state changed", extra={"worker": self.name, **states, "pid": self.pid})
        if event is WorkerEvent.EXITED and self._handle is not None:
            self.last_exit = last = self._handle.exit
            self._handle = None
            if self.state is WorkerState.FAILED and last is not None:
                if last.code is None:
                    self._policy.record_spawn_failure()
                elif before is WorkerState.BUSY:
                    self._policy.record_job_death(alone=any(slot.exclusive for slot in self._slots))
                else:
                    self._policy.record_load_death()
                details = {"pid": last.pid, "code": last.code, "reason": last.reason, "detail": last.detail}
                tail = "\n".join(last.stderr)
                log.warning("worker died", extra={"worker": self.name, **details, "stderr_tail": tail})
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
        if self._keep_alive_s is not None and self.state is WorkerState.READY and self._handle:
            idle = WorkerReplaced(f"The worker was idle for {self._keep_alive_s:g} s.")
            loop = asyncio.get_running_loop()
            self._idle_timer = loop.call_later(self._keep_alive_s, self._handle.kill, idle)
