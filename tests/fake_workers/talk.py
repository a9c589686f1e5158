"""What the fake workers share: their side of the protocol."""

import shutil
from collections.abc import Callable, Iterator
from typing import Any

from shared.messages import (
    DeviceSelected,
    Finished,
    ModelInfo,
    Progress,
    Ready,
    RemovalJob,
    RemovalResult,
    Remove,
)

MODEL = ModelInfo("fake", "cpu", "float32")


def jobs(commands: Any, events: Any, model: ModelInfo = MODEL) -> Iterator[RemovalJob]:
    """Say that the worker is ready, then yield the removals it is sent until the pipe closes."""
    events.put(DeviceSelected(model.device))
    events.put(Ready(model))
    return receive(commands)


def receive(commands: Any) -> Iterator[RemovalJob]:
    """Yield the removals that the worker is sent until the pipe closes."""
    while True:
        try:
            command = commands.recv()
        except EOFError:
            return
        if isinstance(command, Remove):
            yield command.job


def finish(job: RemovalJob, events: Any) -> None:
    """Answer with the photo itself as the result."""
    events.put(Progress(job.task_id, 45, "Removing the background"))
    shutil.copyfile(job.source_path, job.result_path)  # not the mode: a result may go to a device
    timings = {"decode": 1.0, "inference": 1.0, "refine": 0.0, "encode": 1.0}
    whole, sizes = (0, 0, 1, 1), {"photo_width": 1, "photo_height": 1, "width": 1, "height": 1}
    made: dict[str, Any] = {
        **sizes,
        "format": "png",
        "model_id": "fake",
        "device": "cpu",
        "timings_ms": timings,
    }
    result = RemovalResult(**made, subject=True, coverage=1.0, box=whole, frame=whole)
    events.put(Finished(job.task_id, result))


def serve(commands: Any, events: Any, act: Callable[[RemovalJob], None]) -> None:
    """Do `act` for each removal."""
    for job in jobs(commands, events):
        act(job)
