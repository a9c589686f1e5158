"""Any order of load, unload, removal, crash and restart: the manager's states stay legal.

A Hypothesis state machine over the real manager with real processes of a fake worker.
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
from shared.messages import RemovalJob, RemovalResult, WorkerConfig
from shared.options import RemovalOptions
from supervisor.jobs.task import OnProgress
from supervisor.workers.handle import WorkerSpec
from supervisor.workers.state import WorkerState
from supervisor.workers.worker import Worker
from tests.photos import wish
from tests.service import OBEYS

LIVE = set(WorkerState) - {WorkerState.STOPPED, WorkerState.FAILED}


def ignore(_percent: float, _message: str) -> None:
    """Follow nothing."""


class ManagerMachine(RuleBasedStateMachine):
    """Drives one manager; every rule is something that a client, an operator or the system does."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.count = 0
        self.manager = self.do(self.make())

    def do(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine to its end, in bounded time."""
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, 30))

    async def make(self) -> Worker:
        """Make the manager on its loop."""

        async def prepare(_: OnProgress) -> WorkerSpec:
            return WorkerSpec(OBEYS, WorkerConfig("builtin", "", 1), 20, 20, 20)

        return Worker("test", prepare, Path(self.folder.name))

    def job(self, text: str) -> RemovalJob:
        """Write a photo and return its job."""
        self.count += 1
        source = Path(self.folder.name) / f"photo{self.count}"
        source.write_bytes(wish(text))
        return RemovalJob(f"task{self.count}", str(source), f"{source}.out", RemovalOptions())

    async def removed(self, job: RemovalJob) -> RemovalResult:
        """Have a removal done, in its turn."""
        async with self.manager.turns.next() as turn:
            result: RemovalResult = await self.manager.remove(job, ignore, turn)
            return result

    @rule()
    def load(self) -> None:
        """A load always ends with a loaded model."""
        self.do(self.manager.load(ignore))
        assert self.manager.state is WorkerState.READY

    @rule()
    def unload(self) -> None:
        """An unload always ends with no process."""
        was_live = self.manager.state in LIVE
        assert self.do(self.manager.stop()) is was_live
        assert self.manager.state is WorkerState.STOPPED

    @rule(together=st.integers(1, 3))
    def remove(self, together: int) -> None:
        """Removals succeed from every state, unless the circuit is open."""

        async def run() -> Any:
            jobs = [self.removed(self.job("")) for _ in range(together)]
            return await asyncio.gather(*jobs, return_exceptions=True)

        blocked = self.manager.problem is not None
        for outcome in self.do(run()):
            assert isinstance(outcome, WorkerFailed if blocked else RemovalResult)

    @rule()
    def crash(self) -> None:
        """The system kills the worker, if there is one."""
        if (pid := self.manager.pid) is not None:
            psutil.Process(pid).kill()

            async def noticed() -> None:
                while self.manager.state is not WorkerState.FAILED:  # noqa: ASYNC110  # no event to wait for
                    await asyncio.sleep(0.01)

            self.do(noticed())

    @rule()
    def removal_meets_unload(self) -> None:
        """An unload in the middle of a removal puts it back, and it still succeeds."""

        async def both() -> None:
            removal = asyncio.create_task(self.removed(self.job("sleep 0.2")))
            await asyncio.sleep(0.1)
            await self.manager.stop()
            await removal

        if self.manager.problem is None:
            self.do(both())

    @invariant()
    def there_is_a_process_exactly_in_the_live_states(self) -> None:
        """What the status says is what the system has."""
        pid = self.manager.pid
        assert (pid is not None and psutil.pid_exists(pid)) == (self.manager.state in LIVE)

    def teardown(self) -> None:
        """End the worker and the loop."""
        self.do(self.manager.close())
        self.loop.close()
        self.folder.cleanup()


ManagerMachine.TestCase.settings = settings(
    max_examples=15, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
TestManagerStates = pytest.mark.slow(ManagerMachine.TestCase)
