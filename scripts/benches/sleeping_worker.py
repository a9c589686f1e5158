"""A worker for `bench.py fleet` that sleeps instead of computing, on whatever device it is given."""

import shutil
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from shared.messages import (
    Finished,
    ModelInfo,
    Progress,
    Ready,
    RemovalJob,
    RemovalResult,
    Remove,
    WorkerConfig,
)

PHOTO_S = 0.015
CONCURRENCY = 2  # a photo waits while the other one sleeps
SLEEP_FILE = "sleep_s"  # of the model's folder: how long to sleep, if not PHOTO_S


def serve(commands: "Connection[Remove, Remove]", events: Any, config: WorkerConfig) -> None:  # noqa: ANN401  # a queue
    """Answer each removal with the photo itself, one after the other, until the pipe closes."""
    kind = config.device.partition(":")[0]
    sleep_s = read_sleep_s(config)
    events.put(Ready(ModelInfo(config.model_id, kind, "float32", max_concurrency=CONCURRENCY)))
    while True:
        try:
            job = commands.recv().job
        except EOFError:
            return
        events.put(Progress(job.task_id, 45, "Sleeping"))
        events.put(copy_photo(job, config.model_id, kind, sleep_s))


def read_sleep_s(config: WorkerConfig) -> float:
    """Return how long to sleep for each photo, in seconds."""
    file = Path(config.model_path) / SLEEP_FILE
    return float(file.read_text()) if file.exists() else PHOTO_S


def copy_photo(job: RemovalJob, model_id: str, device: str, sleep_s: float) -> Finished:
    """Sleep, and make the photo itself the result."""
    time.sleep(sleep_s)
    shutil.copyfile(job.source_path, job.result_path)
    whole = (0, 0, 1, 1)
    result = RemovalResult(
        *(1, 1, "png", model_id, device, {"inference": sleep_s * 1000}),
        subject=True,
        coverage=1.0,
        box=whole,
        frame=whole,
    )
    return Finished(job.task_id, result)
