"""Any order of load, unload, removal, crash and restart: the worker's states stay legal.

A Hypothesis state machine over a real worker and dispatcher, with real processes of a fake worker.
"""

import asyncio
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shared.errors import WorkerFailed
from shared.messages import WorkerConfig
from supervisor.workers.device import CPU, Device
from supervisor.workers.spec import WorkerSpec
from supervisor.workers.state import WorkerState
from supervisor.workers.worker import Worker
from tests.dispatching import Bench
from tests.service import OBEYS

LIVE = set(WorkerState) - {WorkerState.STOPPED, WorkerState.FAILED}


def ignore(_percent: float, _message: str) -> None:
    """Follow nothing."""


class WorkerMachine(RuleBasedStateMachine):
    """Drives one worker; every rule is something that a client, an operator or the system does."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.worker = self.do(self.make())

    def do(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine to its end, in bounded time."""
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, 30))

    async def make(self) -> Worker:
        """Make the worker and its dispatcher on their loop."""

        async def prepare(_: Device) -> WorkerSpec:
            return WorkerSpec(OBEYS, WorkerConfig("onnx", "", 1), 20, 20, 20)

        worker = Worker("test", CPU, prepare, Path(self.folder.name))
        self.bench = Bench(Path(self.folder.name), [worker])
        self.bench.dispatcher.open()
        return worker

    @rule()
    def load(self) -> None:
        """A load always ends with a loaded model."""
        self.do(self.worker.load(ignore))
        assert self.worker.state is WorkerState.READY

    @rule()
    def unload(self) -> None:
        """An unload always ends with no process."""
        was_live = self.worker.state in LIVE
        assert self.do(self.worker.stop("test")) is was_live
        assert self.worker.state is WorkerState.STOPPED

    @rule(together=st.integers(1, 3))
    def remove(self, together: int) -> None:
        """Removals succeed from every state, unless the circuit is open."""

        async def run() -> Any:
            return await asyncio.gather(*(self.bench.outcome() for _ in range(together)))

        blocked = self.worker.problem is not None
        for outcome in self.do(run()):
            assert isinstance(outcome, WorkerFailed if blocked else dict)

    @rule()
    def crash(self) -> None:
        """The system kills the worker, if there is one."""
        if (pid := self.worker.pid) is not None:
            psutil.Process(pid).kill()

            async def noticed() -> None:
                while self.worker.state is not WorkerState.FAILED:  # noqa: ASYNC110  # no event to wait for
                    await asyncio.sleep(0.01)

            self.do(noticed())

    @rule()
    def removal_meets_unload(self) -> None:
        """An unload in the middle of a removal puts it back, and it still succeeds."""

        async def both() -> None:
            removal = asyncio.create_task(self.bench.remove("sleep 0.2"))
            await asyncio.sleep(0.1)
            await self.worker.stop("test")
            await removal

        if self.worker.problem is None:
            self.do(both())

    @invariant()
    def there_is_a_process_exactly_in_the_live_states(self) -> None:
        """What the status says is what the system has."""
        pid = self.worker.pid
        assert (pid is not None and psutil.pid_exists(pid)) == (self.worker.state in LIVE)

    def teardown(self) -> None:
        """End the worker and the loop."""
        self.do(self.bench.dispatcher.close())
        self.do(self.worker.close())
        self.loop.close()
        self.folder.cleanup()


WorkerMachine.TestCase.settings = settings(
    max_examples=15, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
TestWorkerStates = pytest.mark.slow(WorkerMachine.TestCase)
