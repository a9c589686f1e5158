"""An actor for `bench.py fleet --cluster` that sleeps instead of computing, and the bridge that makes it.

`serve` is the bridge's entry point, and `python -m benches.sleeping_actor` a supervisor that starts it.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.queues import SimpleQueue

from benches.sleeping_worker import CONCURRENCY, copy_photo, read_sleep_s
from shared.messages import Command, Event, ModelInfo, Progress, RemovalJob, WorkerConfig
from shared.version import VERSION
from worker.cluster.actor import ActorReport, RemovalActor


class SleepingRunner:
    """Answers each removal with the photo itself, one after the other."""

    def __init__(self, actor: "SleepingActor", config: WorkerConfig) -> None:
        self._actor = actor
        self._model_id = config.model_id
        self._sleep_s = read_sleep_s(config)
        self._pool = ThreadPoolExecutor(1, "removal")

    def submit(self, job: RemovalJob) -> None:
        """Queue a job on the thread."""
        self._pool.submit(self._run, job)

    def cancel(self, task_id: str) -> None:
        """Let the job sleep: nobody waits for it."""

    def _run(self, job: RemovalJob) -> None:
        self._actor.put(Progress(job.task_id, 45, "Sleeping"))
        self._actor.put(copy_photo(job, self._model_id, "cpu", self._sleep_s))


class SleepingActor(RemovalActor):
    """Takes photos and gives results as an actor does, without a model."""

    def __init__(self, config: WorkerConfig, _data_dir: str) -> None:
        info = ModelInfo(config.model_id, "cpu", "float32", max_concurrency=CONCURRENCY)
        self._report = ActorReport(VERSION, os.getpid(), info)
        self._ends = {}
        self._progress = {}
        self._loop = None
        self._runner = SleepingRunner(self, config)  # type: ignore[assignment]  # has what the actor calls


def serve(
    commands: "Connection[Command, Command]", queue: "SimpleQueue[Event]", config: WorkerConfig
) -> None:
    """Serve removal jobs as the bridge does, with actors that sleep."""
    from worker.cluster import bridge_main, nodes  # noqa: PLC0415  # imports ray

    nodes.RemovalActor = SleepingActor  # type: ignore[attr-defined,assignment]
    bridge_main.serve(commands, queue, config)


if __name__ == "__main__":
    import sys

    from supervisor.models import worker_specs
    from supervisor.server import main

    worker_specs.BRIDGE = "benches.sleeping_actor:serve"
    main(sys.argv[1:])
