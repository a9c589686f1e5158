"""What tests of downloads ask and do."""

from pathlib import Path
from typing import Any

import psutil

from tests.hub import COMMIT, WEIGHTS, Fault, Hub
from tests.service import Service, wait_for


def download(service: Service) -> str | None:
    """Ask for a download and return its task's id."""
    answer = service.client.post("/remove/download")
    assert answer.status_code == 200, answer.text
    task_id: str | None = answer.json()["task_id"]
    return task_id


def downloaded(service: Service) -> dict[str, Any]:
    """Download and return how that ended."""
    task_id = download(service)
    assert task_id is not None
    return service.finished(task_id)


def model(service: Service) -> dict[str, Any]:
    """Return the model's part of the status."""
    fields: dict[str, Any] = service.client.get("/status").json()["models"]["background_removal"]
    return fields


def state(service: Service) -> tuple[bool, bool, str | None]:
    """Return what the status says of downloads."""
    fields = model(service)
    return fields["model_downloaded"], fields["model_downloading"], fields["model_download_error"]


def cache(data: Path) -> Path:
    """Return the repository's folder in a data folder."""
    return data / "models" / "birefnet" / "models--ZhengPeng7--BiRefNet"


def blob(data: Path, hub: Hub) -> Path:
    """Return where the weights' bytes lie."""
    return cache(data) / "blobs" / hub.etag(WEIGHTS)


def partial(data: Path, hub: Hub) -> Path:
    """Return where the weights' bytes are gathered."""
    return cache(data) / "blobs" / f"{hub.etag(WEIGHTS)}.incomplete"


def held_at(service: Service, hub: Hub, data: Path, count: int) -> str:
    """Start a download that stands still after so many bytes, and return its task's id."""
    hub.faults = [Fault("stall", count)]
    task_id = download(service)
    assert task_id is not None
    path = partial(data, hub)
    wait_for(lambda: path.exists() and path.stat().st_size == count)
    assert model(service)["task_id"] == task_id
    return task_id


def downloader(service: Service) -> psutil.Process:
    """Return the process that downloads."""
    (process,) = [child for child in service.descendants() if "spawn_main" in " ".join(child.cmdline())]
    return process


def check_complete(service: Service, data: Path, hub: Hub) -> None:
    """Check that the model is there, byte for byte, and reported to be."""
    fields = model(service)
    assert (fields["model_downloaded"], fields["model_downloading"]) == (True, False)
    assert (fields["model_download_error"], fields["commit"], fields["task_id"]) == (None, COMMIT, None)
    snapshot = cache(data) / "snapshots" / COMMIT
    assert {path.name for path in snapshot.iterdir()} == {WEIGHTS, "config.json"}
    for path in snapshot.iterdir():
        assert path.read_bytes() == hub.files[path.name]
    assert not list(cache(data).rglob("*.incomplete"))
