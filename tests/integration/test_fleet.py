"""Several devices, with fake workers on real processes: throughput, killed workers, loads."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.fleet_service import count_loads, gpus, load, remove_all, states, workers
from tests.integration.test_metrics import scraped, value
from tests.photos import wish
from tests.service import Service, wait_for

Start = Callable[..., Service]

PHOTOS_PER_DEVICE = 10
LONG_PHOTO = "sleep 0.2"  # 40 photos per second on eight devices are below the limit of one supervisor
TRIES = 3


def measure_rate(service: Service, devices: int) -> float:
    """Return how many photos per second so many devices compute."""
    count = devices * PHOTOS_PER_DEVICE
    started_s = time.monotonic()
    remove_all(service, count, LONG_PHOTO)
    return count / (time.monotonic() - started_s)


@pytest.mark.slow
def test_throughput_grows_with_the_devices(start_fleet: Start) -> None:
    """Each adds at least 0.9 of what one reaches alone."""
    alone = 0.0
    for devices in (1, 2, 4, 8):
        service = start_fleet(gpus(devices), queue_limit=100)
        assert load(service)["status"] == "complete"
        alone = alone or max(measure_rate(service, 1) for _ in range(2))
        rates = (measure_rate(service, devices) for _ in range(TRIES))
        assert any(rate >= 0.9 * devices * alone for rate in rates), f"{devices} devices"
        if devices > 1:
            done = [worker["jobs_done"] for worker in workers(service).values()]
            assert min(done) >= 0.5 * max(done)
        service.process.send_signal(signal.SIGTERM)


@pytest.mark.slow
def test_all_photos_are_done_though_a_third_of_the_workers_is_killed(start_fleet: Start) -> None:
    """At any moment, through 200 photos: each is retried on another worker, and gets its own result."""
    service = start_fleet(gpus(6), queue_limit=300)
    assert load(service)["status"] == "complete"
    chance = random.Random(20)
    moments = (chance.randrange(30, 80), chance.randrange(130, 180))
    victims = dict(zip(moments, chance.sample(sorted(workers(service)), 2), strict=True))
    photos: dict[str, bytes] = {}
    for number in range(200):
        if number in victims:
            pid = workers(service)[victims[number]]["pid"]
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        photo = wish(f"sleep 0.1{number:03}")
        photos[service.upload(photo, model="birefnet")] = photo
    for task_id, photo in photos.items():
        task = service.finished(task_id)
        assert task["status"] == "complete", task
        result = service.client.get(f"/remove/result/{task_id}").json()
        assert service.client.get(result["result_url"].removeprefix("/api/v1")).content == photo
    wait_for(lambda: set(states(service).values()) == {"ready"})
    generations = {device: worker["generation"] for device, worker in workers(service).items()}
    assert generations == {device: 2 if device in victims.values() else 1 for device in generations}


def test_a_model_is_loaded_on_every_device_or_on_as_many_as_wanted(start_fleet: Start) -> None:
    """And the status and the metrics name each worker's device."""
    service = start_fleet(gpus(3), replicas=1)
    assert load(service)["status"] == "complete"
    assert Counter(states(service).values()) == {"ready": 1, "stopped": 2}
    remove_all(service, 6)
    assert Counter(states(service).values())["stopped"] == 2, "the setting bounds what photos start, too"
    assert load(service, replicas=3)["status"] == "complete"
    assert states(service) == dict.fromkeys(("cuda:0", "cuda:1", "cuda:2"), "ready")
    samples = scraped(service)
    for device in ("cuda:0", "cuda:1", "cuda:2"):
        assert value(samples, "worker_state", model="fleet", device=device, state="ready") == 1
    assert service.client.post("/models/fleet/unload").json()["unloaded"]
    assert set(states(service).values()) == {"stopped"}


def test_a_load_without_a_number_takes_every_device(start_fleet: Start) -> None:
    """As it should on a machine with several GPUs; a request can ask for fewer."""
    service = start_fleet(gpus(3))
    assert load(service, replicas=1)["status"] == "complete"
    assert Counter(states(service).values()) == {"ready": 1, "stopped": 2}
    assert load(service)["status"] == "complete"
    assert set(states(service).values()) == {"ready"}
    assert count_loads(service) == 3
    assert service.client.post("/models/fleet/load").json()["task_id"] is None, (
        "there is nothing left to load"
    )


def test_auto_takes_every_device_that_the_first_worker_finds(start_fleet: Start, fleet_folder: Path) -> None:
    """On a machine with several GPUs nothing has to be set."""
    (fleet_folder / "auto-cuda:0,cuda:1,cuda:2").touch()
    service = start_fleet("auto")
    assert set(workers(service)) == {"auto"}
    assert load(service)["status"] == "complete"
    assert states(service) == dict.fromkeys(("cuda:0", "cuda:1", "cuda:2"), "ready")
    remove_all(service, 9)
    assert all(worker["jobs_done"] for worker in workers(service).values())
