"""The order of the jobs that one worker's end sends back to the queue."""

import asyncio
from pathlib import Path

from shared.errors import WorkerReplaced
from shared.messages import RemovalJob, RemovalResult
from supervisor.workers.spec import OnProgress
from tests.dispatching import Bench, ScriptedWorker, finished, text_of


def test_jobs_of_a_replaced_worker_run_again_in_their_order(tmp_path: Path) -> None:
    """Each was put before the one that came before it, so that the oldest ran last."""
    runs: list[str] = []
    replaced = asyncio.Event()

    async def behave(job: RemovalJob, _: OnProgress) -> RemovalResult:
        runs.append(text_of(job))
        if not replaced.is_set() and len(runs) == 4:
            worker.concurrency = 1
            replaced.set()
        if len(runs) <= 4:
            await replaced.wait()
            raise WorkerReplaced
        return finished(job)

    worker = ScriptedWorker(behave, concurrency=4)
    bench = Bench(tmp_path, [worker])

    async def scenario() -> None:
        tasks = [await bench.submit(text, client=text) for text in "abcde"]
        await asyncio.gather(*(task.wait() for task in tasks))
        assert runs == list("abcd" + "abcd" + "e")

    bench.run(scenario)
