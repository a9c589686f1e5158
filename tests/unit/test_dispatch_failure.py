"""A round of the dispatcher that fails, as it does while the system has no threads left."""

from pathlib import Path
from typing import Any

import pytest

from shared.messages import RemovalJob, RemovalResult
from shared.options import RemovalOptions
from supervisor.jobs import dispatcher
from supervisor.workers.spec import OnProgress
from tests.dispatching import Bench, ScriptedWorker, finished


def test_a_round_that_failed_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On an idle service nothing else wakes the dispatcher: the photo waited for the next one."""
    monkeypatch.setattr(dispatcher, "RETRY_S", 0.05)

    async def behave(job: RemovalJob, _: OnProgress) -> RemovalResult:
        return finished(job)

    bench = Bench(tmp_path, [ScriptedWorker(behave)])
    rounds: list[int] = []

    async def refresh() -> None:
        rounds.append(1)
        if len(rounds) == 1:
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(bench.models, "refresh", refresh)

    async def scenario() -> None:
        fields: dict[str, Any] = {"options": RemovalOptions(model="auto")}
        task = await bench.submit("a", **fields)
        await task.wait()
        assert task.status == "complete"

    bench.run(scenario)
