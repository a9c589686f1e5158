"""A worker for `bench.py fleet` that sleeps instead of computing, on whatever device it is given."""

import shutil
import time
from multiprocessing.connection import Connection
from typing import Any

from shared.messages import Finished, ModelInfo, Progress, Ready, RemovalResult, Remove, WorkerConfig

PHOTO_S = 0.015


def serve(commands: "Connection[Remove, Remove]", events: Any, config: WorkerConfig) -> None:  # noqa: ANN401  # a queue
    """Answer each removal with the photo itself, one after the other, until the pipe closes."""
    kind = config.device.partition(":")[0]
    events.put(
        Ready(ModelInfo(config.model_id, kind, "float32", device_name=config.device, max_concurrency=2))
    )
    while True:
        try:
            job = commands.recv().job
        except EOFError:
            return
        events.put(Progress(job.task_id, 45, "Sleeping"))
        time.sleep(PHOTO_S)
        shutil.copyfile(job.source_path, job.result_path)
        whole = (0, 0, 1, 1)
        result = RemovalResult(
            *(1, 1, "png", config.model_id, kind, {"inference": PHOTO_S * 1000}),
            subject=True,
            coverage=1.0,
            box=whole,
            frame=whole,
        )
        events.put(Finished(job.task_id, result))
