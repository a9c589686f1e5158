"""Several devices, with fake workers on real processes: throughput, losses, memory, eviction."""

import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.fake_workers.fleet import PHOTO_S
from tests.integration.test_metrics import scraped, value
from tests.photos import wish
from tests.service import OBEYS, Service, wait_for

FLEET = "tests.fake_workers.fleet:serve"
QUICK_REVIVAL = (sys.executable, "-m", "tests.integration.quick_revival_supervisor")
Start = Callable[..., Service]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a model called `fleet`, whose files say what its workers do."""
    folder = tmp_path / "fleet"
    folder.mkdir()
    (folder / "model.safetensors").touch()
    return folder


@pytest.fixture
def start_fleet(start: Start, folder: Path) -> Start:
    """Start a service with that model on some devices."""

    def begin(device: str, **settings: Any) -> Service:
        return start(model=folder, device=device, birefnet_worker=FLEET, builtin_worker=OBEYS, **settings)

    return begin


def gpus(count: int) -> str:
    """Return the setting for so many devices."""
    return ",".join(f"cuda:{number}" for number in range(count))


def load(service: Service, path: str = "models/fleet/load") -> dict[str, Any]:
    """Load the model and return the load's last payload."""
    task_id = service.client.post(f"/{path}").json()["task_id"]
    return service.finished(task_id)


def workers(service: Service, model: str = "fleet") -> dict[str, dict[str, Any]]:
    """Return the status of a model's workers, by device."""
    listed = service.client.get("/status").json()["workers"]
    return {worker["device"]: worker for worker in listed if worker["model"] == model}


def states(service: Service, model: str = "fleet") -> dict[str, str]:
    """Return the states of a model's workers, by device."""
    return {device: worker["state"] for device, worker in workers(service, model).items()}


def remove_all(service: Service, count: int, wanted: str = "") -> float:
    """Remove so many backgrounds, and return how many seconds that takes."""
    started = time.monotonic()
    tasks = [service.upload(wish(wanted), model="birefnet") for _ in range(count)]
    for task_id in tasks:
        assert service.finished(task_id)["status"] == "complete"
    return time.monotonic() - started


@pytest.mark.slow
def test_throughput_grows_with_the_devices(start_fleet: Start) -> None:
    """By nine tenths of each at least, as long as the service itself can dispatch that many photos."""
    for count in (1, 2, 4, 8):
        service = start_fleet(gpus(count))
        assert load(service)["status"] == "complete"
        bound_s = 8 * (0.25 + PHOTO_S) / 0.9 + 0.3  # and the answers' way
        durations_s = (remove_all(service, 8 * count, "sleep 0.25") for _ in range(2))
        assert any(duration_s < bound_s for duration_s in durations_s), f"{count} devices"


@pytest.mark.slow
def test_all_photos_are_done_though_a_third_of_the_workers_is_killed(start_fleet: Start) -> None:
    """At any moment, through 200 photos: each is retried on another worker."""
    service = start_fleet(gpus(6), queue_limit=300)
    assert load(service)["status"] == "complete"
    chance = random.Random(20)
    photos = {service.upload(wish(f"{number}"), model="birefnet"): number for number in range(200)}
    for _ in range(2):
        time.sleep(0.5)
        victim = chance.choice([each for each in workers(service).values() if each["pid"]])
        with suppress(ProcessLookupError):
            os.kill(victim["pid"], signal.SIGKILL)
    for task_id, number in photos.items():
        task = service.finished(task_id)
        assert task["status"] == "complete", task
        result = service.client.get(f"/remove/result/{task_id}").json()
        content = service.client.get(result["result_url"].removeprefix("/api/v1")).content
        assert content == wish(f"{number}")
    assert sum(worker["restarts"] for worker in workers(service).values()) >= 1


def test_a_model_is_loaded_on_every_device_or_on_as_many_as_wanted(start_fleet: Start) -> None:
    """And the status and the metrics name each worker's device."""
    service = start_fleet(gpus(3), replicas=1)
    assert load(service)["status"] == "complete"
    assert Counter(states(service).values()) == {"ready": 1, "stopped": 2}
    remove_all(service, 6)
    assert Counter(states(service).values())["stopped"] == 2, "the setting bounds what photos start, too"
    assert load(service, "models/fleet/load?replicas=3")["status"] == "complete"
    assert set(states(service).values()) == {"ready"}
    assert set(workers(service)) == {"cuda:0", "cuda:1", "cuda:2"}
    samples = scraped(service)
    assert value(samples, "worker_state", model="fleet", device="cuda:2", state="ready") == 1
    assert service.client.post("/models/fleet/unload").json()["unloaded"]
    assert set(states(service).values()) == {"stopped"}


def test_a_device_without_memory_is_skipped(start_fleet: Start, folder: Path) -> None:
    """The model is loaded if one device has it; the status says what happened on the others."""
    (folder / "full-cuda:1").touch()
    service = start_fleet(gpus(2))
    assert load(service)["status"] == "complete"
    assert states(service) == {"cuda:0": "ready", "cuda:1": "failed"}
    assert "memory" in workers(service)["cuda:1"]["last_exit"]["detail"]
    assert service.client.get("/status").json()["models"]["background_removal"]["model_error"] is None
    remove_all(service, 4)
    assert workers(service)["cuda:1"]["generation"] == 1, "it is not tried for each photo"


def test_a_load_fails_where_no_device_has_the_memory(start_fleet: Start, folder: Path) -> None:
    """With that reason."""
    for device in ("cuda:0", "cuda:1"):
        (folder / f"full-{device}").touch()
    service = start_fleet(gpus(2))
    assert load(service)["code"] == "out_of_memory"
    (listed,) = [each for each in service.client.get("/models").json()["models"] if each["name"] == "fleet"]
    assert (listed["state"], "memory" in listed["reason"]) == ("failed", True)


def test_an_idle_model_gives_its_memory_to_one_that_has_too_little(start_fleet: Start, folder: Path) -> None:
    """The load is tried once more after that."""
    (folder / "full-cpu").touch()
    service = start_fleet("cpu")
    service.cut(wish(), model="builtin")
    assert states(service, "builtin") == {"cpu": "ready"}
    assert load(service)["code"] == "out_of_memory"
    assert states(service, "builtin") == {"cpu": "stopped"}
    assert workers(service)["cpu"]["generation"] == 2


def test_a_lost_device_leaves_the_pool_and_comes_back(start_fleet: Start, folder: Path) -> None:
    """No photo fails for it; it is tried again with back-off, and unloading ends that."""
    service = start_fleet(gpus(2), command=QUICK_REVIVAL)
    assert load(service)["status"] == "complete"
    (folder / "lost-cuda:1").touch()
    os.kill(workers(service)["cuda:1"]["pid"], signal.SIGKILL)
    wait_for(lambda: states(service)["cuda:1"] == "failed")
    remove_all(service, 6)
    wait_for(lambda: workers(service)["cuda:1"]["generation"] >= 3)
    (folder / "lost-cuda:1").unlink()
    wait_for(lambda: states(service)["cuda:1"] == "ready")
    (folder / "lost-cuda:1").touch()
    os.kill(workers(service)["cuda:1"]["pid"], signal.SIGKILL)
    wait_for(lambda: states(service)["cuda:1"] == "failed")
    service.client.post("/models/fleet/unload")
    starts = workers(service)["cuda:1"]["generation"]
    time.sleep(1)
    assert set(states(service).values()) == {"stopped"}
    assert workers(service)["cuda:1"]["generation"] == starts


def test_auto_takes_every_device_that_the_first_worker_finds(start_fleet: Start, folder: Path) -> None:
    """On a machine with several GPUs nothing has to be set."""
    (folder / "auto-cuda:0,cuda:1,cuda:2").touch()
    service = start_fleet("auto")
    assert set(workers(service)) == {"auto"}
    assert load(service)["status"] == "complete"
    assert states(service) == dict.fromkeys(("cuda:0", "cuda:1", "cuda:2"), "ready")
    remove_all(service, 9)
    assert all(worker["jobs_done"] for worker in workers(service).values())


def test_two_clients_with_two_models_do_not_make_a_device_load_them_in_turns(start_fleet: Start) -> None:
    """A device that holds one model: every switch costs a load."""
    service = start_fleet("cpu", max_loaded_models=1, queue_limit=100)
    names = ("birefnet", "builtin")
    tasks = [service.upload(wish(), model=name) for _ in range(15) for name in names]
    for task_id in tasks:
        assert service.finished(task_id)["status"] == "complete"
    loads = sum(
        worker["generation"] for name in ("fleet", "builtin") for worker in workers(service, name).values()
    )
    assert loads <= 4
    alive = [
        worker for name in ("fleet", "builtin") for worker in workers(service, name).values() if worker["pid"]
    ]
    assert len(alive) == 1
