"""A service with a model called `fleet` on several fake devices, and what tests ask of it."""

from pathlib import Path
from typing import Any

from tests.photos import wish
from tests.service import OBEYS, Service

FLEET = "tests.fake_workers.fleet:serve"


def make_model(folder: Path) -> Path:
    """Make the model's folder, whose files say what its workers do."""
    folder.mkdir()
    (folder / "model.safetensors").touch()
    return folder


def fleet_settings(folder: Path, device: str) -> dict[str, Any]:
    """Return the settings of a service with that model on these devices."""
    return {"model": folder, "device": device, "birefnet_worker": FLEET, "builtin_worker": OBEYS}


def gpus(count: int) -> str:
    """Return the setting for so many devices."""
    return ",".join(f"cuda:{number}" for number in range(count))


def load(service: Service, **query: str | int) -> dict[str, Any]:
    """Load the model and return the load's last payload."""
    task_id = service.client.post("/models/fleet/load", params=query).json()["task_id"]
    return service.finished(task_id)


def unload(service: Service) -> None:
    """Unload the model."""
    service.client.post("/models/fleet/unload").raise_for_status()


def workers(service: Service, model: str = "fleet") -> dict[str, dict[str, Any]]:
    """Return the status of a model's workers, by device."""
    listed = service.client.get("/status").json()["workers"]
    own = [worker for worker in listed if worker["model"] == model]
    assert [worker["id"] for worker in own] == [f"{model}@{worker['device']}" for worker in own]
    by_device = {worker["device"]: worker for worker in own}
    assert len(by_device) == len(own), "no two workers share a device"
    return by_device


def states(service: Service, model: str = "fleet") -> dict[str, str]:
    """Return the states of a model's workers, by device."""
    return {device: worker["state"] for device, worker in workers(service, model).items()}


def count_loads(service: Service, model: str = "fleet") -> int:
    """Return how many worker processes a model has had."""
    return sum(worker["generation"] for worker in workers(service, model).values())


def remove_all(service: Service, count: int, wanted: str = "") -> None:
    """Remove so many backgrounds, none of which may fail."""
    tasks = [service.upload(wish(wanted), model="birefnet") for _ in range(count)]
    for task_id in tasks:
        task = service.finished(task_id)
        assert task["status"] == "complete", task
