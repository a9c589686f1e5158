"""The transformers loader through the service, end to end: a worker runs code from a hub."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.hub import Hub, running_hub
from tests.photos import opened
from tests.remote_code import CODE, alpha_of, repository
from tests.service import Service

MODEL = "owner/tiny-matting"
CHANGED = (
    CODE
    + """
raise RuntimeError("code that came after the download")
"""
)


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A hub that serves a small network with its code."""
    with running_hub() as hub:
        hub.repo_id = MODEL
        hub.files = repository()
        yield hub


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_download_load_remove_unload_with_the_downloaded_code_alone(
    start: Callable[..., Service],
    hub: Hub,
    astronaut: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The lifecycle uses the downloaded code, also after the hub's has changed."""
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    service = start(model=MODEL, loader="transformers", data_dir=tmp_path / "data", dtype="float32")

    def act(path: str) -> None:
        task = service.finished(service.client.post(path).json()["task_id"], timeout_s=120)
        assert task["status"] == "complete", task

    def status() -> dict[str, object]:
        section: dict[str, object] = service.client.get("/status").json()["models"]["background_removal"]
        return section

    act("/remove/download")
    commit = status()["commit"]
    assert commit == hub.commit
    assert "code from the hub enabled" not in service.log

    hub.files["tiny.py"] = CHANGED.encode()
    hub.commit = "f" * 40
    requests = len(hub.paths)
    act("/remove/load")
    loaded = status()
    assert (loaded["model_loaded"], loaded["loader"], loaded["commit"]) == (True, "transformers", commit)
    alpha = np.asarray(opened(service.cut(astronaut)).getchannel("A")).astype(int)
    # This network turns one level of input into nine of output, and Pillow's rounding may differ by one.
    assert np.abs(alpha - alpha_of(opened(astronaut), (1024, 1024))).max() <= 9
    pid = service.worker()["pid"]
    assert service.client.post("/remove/unload").json()["unloaded"] is True
    assert not psutil.pid_exists(pid)
    assert status()["model_loaded"] is False
    assert len(hub.paths) == requests, "loading must not access the hub"
    (line, *_) = [line for line in service.log.splitlines() if "code from the hub enabled" in line]
    assert f"model={MODEL} snapshot={commit}" in line


@pytest.mark.timeout(200)
def test_changed_code_runs_after_its_download_and_its_error_is_reported(
    start: Callable[..., Service], hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proves that the test above would have detected the changed code."""
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    hub.files["tiny.py"] = CHANGED.encode()
    service = start(model=MODEL, loader="transformers", data_dir=tmp_path / "data")
    service.finished(service.client.post("/remove/download").json()["task_id"])
    task = service.finished(service.client.post("/remove/load").json()["task_id"], timeout_s=120)
    assert (task["status"], task["code"]) == ("error", "model_unfit")
    assert "code that came after the download" in task["message"]
