"""Workers of a fleet: each has a device of its own, as its configuration says, and can fail there.

Files in the model's folder say what happens: `lost-DEVICE` ends its worker, `full-DEVICE` leaves no memory
for the model there, `auto-DEVICES` are what a worker on "auto" finds, separated by commas.
"""

import os
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from shared.messages import LoadFailed, WorkerConfig
from tests.fake_workers.behaviours import obey
from tests.fake_workers.talk import MODEL, jobs

PHOTO_S = 0.05


def serve(commands: Connection, events: Any, config: WorkerConfig) -> None:
    """Take some time for each photo, and do what it says."""
    folder, devices = Path(config.model_path), [config.device]
    if config.device == "auto":
        devices = next(path.name.removeprefix("auto-") for path in folder.glob("auto-*")).split(",")
    device = devices[0]
    if (folder / f"lost-{device}").exists():
        os._exit(70)
    if (folder / f"full-{device}").exists():
        events.put(LoadFailed("out_of_memory", f"There is not enough memory for the model on {device}."))
        return
    model = replace(
        MODEL,
        model_id=config.model_id,
        device=device.partition(":")[0],
        device_name=device,
        other_devices=tuple(devices[1:]),
        max_concurrency=2,
    )
    for job in jobs(commands, events, model):
        time.sleep(PHOTO_S)
        obey(job, events)
