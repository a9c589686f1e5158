"""Devices that are lost and come back, and unloading meanwhile, with fake workers on real processes."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.fleet_service import count_loads, gpus, load, remove_all, states, unload, workers
from tests.photos import wish
from tests.service import Service, wait_for

Start = Callable[..., Service]


@pytest.fixture
def start_quick(start_fleet: Start) -> Start:
    """Start a service that soon tries a lost device again."""
    command = (sys.executable, "-m", "tests.integration.quick_revival_supervisor")
    return lambda device, **settings: start_fleet(device, command=command, **settings)


def kill(service: Service, *devices: str) -> None:
    """Kill the workers on some devices, none of which notices the others' deaths before its own."""
    for device, worker in workers(service).items():
        if device in devices:
            os.kill(worker["pid"], signal.SIGKILL)


def lose(service: Service, folder: Path, device: str) -> None:
    """Let a device be lost."""
    (folder / f"lost-{device}").touch()
    kill(service, device)


def is_all_ready(service: Service) -> bool:
    """Whether the model is loaded on every device."""
    return set(states(service).values()) == {"ready"}


def test_a_lost_device_leaves_the_pool_and_comes_back(start_quick: Start, fleet_folder: Path) -> None:
    """No photo fails for it, though there are always some; it is tried again with back-off."""
    service = start_quick(gpus(3), queue_limit=300)
    assert load(service)["status"] == "complete"
    tasks = [service.upload(wish("sleep 0.1"), model="birefnet") for _ in range(60)]
    lose(service, fleet_folder, "cuda:1")
    wait_for(lambda: workers(service)["cuda:1"]["generation"] >= 4)
    for task_id in tasks:
        assert service.finished(task_id)["status"] == "complete"
    (fleet_folder / "lost-cuda:1").unlink()
    wait_for(lambda: is_all_ready(service))
    remove_all(service, 9)
    assert workers(service)["cuda:1"]["jobs_done"]


def test_all_devices_come_back_after_all_were_lost(start_quick: Start) -> None:
    """The next photo starts one worker, and its success the others."""
    service = start_quick(gpus(3))
    assert load(service)["status"] == "complete"
    kill(service, "cuda:0", "cuda:1", "cuda:2")
    wait_for(lambda: not any(worker["pid"] for worker in workers(service).values()))
    remove_all(service, 1)
    wait_for(lambda: is_all_ready(service))


def test_a_device_that_breaks_at_every_photo_costs_none(start_quick: Start, fleet_folder: Path) -> None:
    """A photo that it has broken at is retried on another one, and the waits before its next try grow."""
    service = start_quick(gpus(2), queue_limit=300)
    assert load(service)["status"] == "complete"
    (fleet_folder / "breaks-cuda:1").touch()
    remove_all(service, 16, "sleep 0.3")
    assert workers(service)["cuda:1"]["generation"] <= 12


def test_auto_does_not_take_another_workers_device(start_quick: Start, fleet_folder: Path) -> None:
    """A worker that looks for a device again would find that of another one."""
    (fleet_folder / "auto-cuda:0,cuda:1").touch()
    service = start_quick("auto")
    assert load(service)["status"] == "complete"
    lose(service, fleet_folder, "cuda:0")
    wait_for(lambda: count_loads(service) >= 4)
    assert states(service)["cuda:1"] == "ready"
    remove_all(service, 4)
    (fleet_folder / "lost-cuda:0").unlink()
    wait_for(lambda: states(service) == {"cuda:0": "ready", "cuda:1": "ready"})


def test_a_lost_device_does_not_add_to_the_replicas(start_quick: Start) -> None:
    """Another one has taken its place."""
    service = start_quick(gpus(3), replicas=2)
    assert load(service)["status"] == "complete"
    kill(service, "cuda:0")
    remove_all(service, 12, "sleep 0.1")
    time.sleep(0.5)
    assert len([worker for worker in workers(service).values() if worker["pid"]]) == 2


@pytest.mark.parametrize("moment", ["during the load", "lost", "tried again"])
def test_unloading_ends_every_worker(start_quick: Start, fleet_folder: Path, moment: str) -> None:
    """Also one that is about to be loaded, or loaded again."""
    service = start_quick(gpus(3))
    if moment == "during the load":
        (fleet_folder / "slow").touch()
        task_id = service.client.post("/models/fleet/load").json()["task_id"]
        wait_for(lambda: set(states(service).values()) == {"starting"})
    else:
        assert load(service)["status"] == "complete"
    if moment == "lost":
        lose(service, fleet_folder, "cuda:1")
        wait_for(lambda: count_loads(service) >= 5)
    if moment == "tried again":
        (fleet_folder / "slow").touch()
        kill(service, "cuda:1")
        wait_for(lambda: workers(service)["cuda:1"]["generation"] == 2)
    unload(service)
    loads = count_loads(service)
    assert set(states(service).values()) == {"stopped"}
    time.sleep(1)
    assert set(states(service).values()) == {"stopped"}
    assert count_loads(service) == loads
    if moment == "during the load":
        assert service.task(task_id)["code"] == "cancelled"


def test_unloading_ends_the_wait_for_room_on_a_lost_device(start_quick: Start, fleet_folder: Path) -> None:
    """Else the model would come back, and evict another one for it."""
    service = start_quick("cpu,cuda:0", max_loaded_models=1)
    assert load(service)["status"] == "complete"
    lose(service, fleet_folder, "cpu")
    task_id = service.upload(wish("sleep 2"), model="builtin")
    wait_for(lambda: states(service, "builtin") == {"cpu": "busy"})
    (fleet_folder / "lost-cpu").unlink()
    time.sleep(1)
    unload(service)
    assert service.finished(task_id)["status"] == "complete"
    time.sleep(1)
    assert set(states(service).values()) == {"stopped"}
    assert states(service, "builtin") == {"cpu": "ready"}
