"""Devices with too little memory, and models that share one, with fake workers on real processes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.fleet_service import count_loads, gpus, load, remove_all, states, workers
from tests.photos import wish
from tests.service import Service

Start = Callable[..., Service]


def test_a_device_without_memory_is_skipped(start_fleet: Start, fleet_folder: Path) -> None:
    """The model is loaded if one device has it; the status says what happened on the others."""
    (fleet_folder / "full-cuda:1").touch()
    service = start_fleet(gpus(2))
    assert load(service)["status"] == "complete"
    assert states(service) == {"cuda:0": "ready", "cuda:1": "failed"}
    skipped = workers(service)["cuda:1"]["last_exit"]
    assert (skipped["reason"], "memory" in skipped["detail"]) == ("out_of_memory", True)
    assert service.client.get("/status").json()["models"]["background_removal"]["model_error"] is None
    remove_all(service, 4)
    assert workers(service)["cuda:1"]["generation"] == 1, "it is not tried for each photo"


def test_one_replica_goes_where_there_is_memory(start_fleet: Start, fleet_folder: Path) -> None:
    """The first device has none."""
    (fleet_folder / "full-cuda:0").touch()
    service = start_fleet(gpus(3), replicas=1)
    assert load(service)["status"] == "complete"
    assert states(service) == {"cuda:0": "failed", "cuda:1": "ready", "cuda:2": "stopped"}


def test_a_load_fails_where_no_device_has_the_memory(start_fleet: Start, fleet_folder: Path) -> None:
    """With that reason."""
    for device in ("cuda:0", "cuda:1"):
        (fleet_folder / f"full-{device}").touch()
    service = start_fleet(gpus(2))
    assert load(service)["code"] == "out_of_memory"
    (listed,) = [each for each in service.client.get("/models").json()["models"] if each["name"] == "fleet"]
    assert (listed["state"], "memory" in listed["reason"]) == ("failed", True)


def test_an_idle_model_gives_its_memory_to_one_that_has_too_little(
    start_fleet: Start, fleet_folder: Path
) -> None:
    """The load is tried once more after that, and no more than once."""
    (fleet_folder / "full-once-cpu").touch()
    service = start_fleet("cpu")
    service.cut(wish(), model="builtin")
    assert states(service, "builtin") == {"cpu": "ready"}
    assert load(service)["status"] == "complete"
    assert (states(service, "builtin"), states(service)) == ({"cpu": "stopped"}, {"cpu": "ready"})
    assert count_loads(service) == 2
    service.client.post("/models/fleet/unload")
    service.cut(wish(), model="builtin")
    (fleet_folder / "full-cpu").touch()
    assert load(service)["code"] == "out_of_memory"
    assert count_loads(service) == 4
    assert states(service, "builtin") == {"cpu": "stopped"}


def test_a_busy_model_keeps_its_memory(start_fleet: Start, fleet_folder: Path) -> None:
    """The load fails instead."""
    (fleet_folder / "full-once-cpu").touch()
    service = start_fleet("cpu")
    task_id = service.upload(wish("sleep 2"), model="builtin")
    while states(service, "builtin") != {"cpu": "busy"}:
        pass
    assert load(service)["code"] == "out_of_memory"
    assert service.finished(task_id)["status"] == "complete"
    assert count_loads(service) == 1


def test_two_clients_with_two_models_do_not_make_a_device_load_them_in_turns(start_fleet: Start) -> None:
    """A device that holds one model: every switch costs a load."""
    service = start_fleet("cpu", max_loaded_models=1, queue_limit=200)
    tasks = []
    for _ in range(40):
        for client, model in (("one", "birefnet"), ("two", "builtin")):
            service.client.headers["X-Client-Id"] = client
            tasks.append(service.upload(wish(), model=model))
    for task_id in tasks:
        assert service.finished(task_id)["status"] == "complete"
    assert count_loads(service) + count_loads(service, "builtin") <= 6
    both = (*workers(service).values(), *workers(service, "builtin").values())
    assert len([worker for worker in both if worker["pid"]]) == 1


@pytest.mark.parametrize("trouble", ["full", "lost-while-loading"])
def test_auto_goes_on_where_the_first_device_cannot_load_the_model(
    start_fleet: Start, fleet_folder: Path, trouble: str
) -> None:
    """Another process may hold that GPU's memory; the machine has others, which nobody has to name."""
    (fleet_folder / "auto-cuda:0,cuda:1").touch()
    (fleet_folder / f"{trouble}-cuda:0").touch()
    service = start_fleet("auto")
    assert load(service)["status"] == "complete"
    assert states(service) == {"cuda:0": "failed", "cuda:1": "ready"}
    remove_all(service, 4)


def test_a_photo_loads_its_model_where_there_is_memory(start_fleet: Start, fleet_folder: Path) -> None:
    """Without a load on request before it, however many devices have none: that is not the photo's doing."""
    (fleet_folder / "auto-cuda:0,cuda:1,cuda:2,cuda:3").touch()
    for device in ("cuda:0", "cuda:1", "cuda:2"):
        (fleet_folder / f"full-{device}").touch()
    service = start_fleet("auto")
    remove_all(service, 1)
    assert states(service) == {**dict.fromkeys(("cuda:0", "cuda:1", "cuda:2"), "failed"), "cuda:3": "ready"}


def test_a_photo_fails_where_no_device_has_the_memory(start_fleet: Start, fleet_folder: Path) -> None:
    """With that reason, after each was tried."""
    for device in ("cuda:0", "cuda:1", "cuda:2"):
        (fleet_folder / f"full-{device}").touch()
    service = start_fleet(gpus(3))
    assert service.finished(service.upload(wish(), model="birefnet"))["code"] == "out_of_memory"
    assert set(states(service).values()) == {"failed"}
