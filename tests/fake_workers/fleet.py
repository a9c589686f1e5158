"""Workers of a fleet: each has a device of its own, as its configuration says, and can fail there.

Files in the model's folder say what happens on a device: with `lost-DEVICE` its worker ends, with
`breaks-DEVICE` its first job ends it, `full-DEVICE` leaves no memory for the model, `full-once-DEVICE` the
same for one load, `lost-while-loading-DEVICE` ends the load. `slow` makes loads take a while. `auto-DEVICES`
are what a worker on "auto" finds, separated by commas: it takes the first that is not lost.
"""

import os
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from shared.messages import DeviceSelected, LoadFailed, Loading, Ready, WorkerConfig
from tests.fake_workers.behaviours import obey
from tests.fake_workers.talk import MODEL, receive

PHOTO_S = 0.015
LOAD_S = 1.0  # of a slow one


def serve(commands: Connection, events: Any, config: WorkerConfig) -> None:
    """Take some time for each photo, and do what it says."""
    folder = Path(config.model_path)
    devices = find_devices(folder, config.device)
    device = next((each for each in devices if not (folder / f"lost-{each}").exists()), None)
    if device is None:
        os._exit(70)
    events.put(DeviceSelected(device, tuple(each for each in devices if each != device)))
    if (folder / f"lost-while-loading-{device}").exists():
        os._exit(70)
    if (folder / "slow").exists():
        events.put(Loading(50, "Loading the model"))
        time.sleep(LOAD_S)
    if (folder / f"full-{device}").exists() or is_full_once(folder, device):
        events.put(LoadFailed("out_of_memory", f"There is not enough memory for the model on {device}."))
        return
    model = replace(
        MODEL,
        model_id=config.model_id,
        device=device.partition(":")[0],
        max_concurrency=2,
    )
    events.put(Ready(model))
    for job in receive(commands):
        if (folder / f"breaks-{device}").exists():
            os._exit(70)
        time.sleep(PHOTO_S)
        obey(job, events)


def find_devices(folder: Path, device: str) -> list[str]:
    """Return the devices that PyTorch would find, given the configured one."""
    if device != "auto":
        return [device]
    return next(path.name.removeprefix("auto-") for path in folder.glob("auto-*")).split(",")


def is_full_once(folder: Path, device: str) -> bool:
    """Whether this load, and no later one, finds too little memory."""
    try:
        (folder / f"full-once-{device}").unlink()
    except FileNotFoundError:
        return False
    return True
