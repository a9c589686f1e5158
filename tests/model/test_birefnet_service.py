"""BiRefNet through the service, end to end, with a seeded checkpoint."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file

from make_checkpoint import write_plain
from tests.hub import WEIGHTS, Hub, running_hub
from tests.photos import opened
from tests.service import Service, follow, wait_for
from worker.birefnet import from_state_dict
from worker.engines.birefnet_engine import normalise

MODEL = "ZhengPeng7/BiRefNet_512x512"  # the fastest of the family
INPUT = (512, 512)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a seeded swin_v1_t, which the service detects."""
    folder = tmp_path_factory.mktemp("checkpoint")
    write_plain(folder, "swin_v1_t", "float16")
    return folder


@pytest.fixture
def hub(checkpoint: Path) -> Iterator[Hub]:
    """A hub that serves the checkpoint as BiRefNet."""
    with running_hub() as hub:
        hub.repo_id = MODEL
        hub.files = {
            "config.json": (checkpoint / "config.json").read_bytes(),
            WEIGHTS: (checkpoint / "model.safetensors").read_bytes(),
        }
        yield hub


def model(service: Service) -> dict[str, Any]:
    """Return BiRefNet's section of the status."""
    status: dict[str, Any] = service.client.get("/status").json()["models"]["background_removal"]
    return status


def act(service: Service, path: str) -> dict[str, Any]:
    """Start an action and wait for its task to complete."""
    task_id = service.client.post(path).json()["task_id"]
    task = service.finished(task_id, timeout_s=120)
    assert task["status"] == "complete", task
    return task


def expected_alpha(checkpoint: Path, photo: Image.Image) -> NDArray[np.uint8]:
    """Return the network's own matte, resized with the service's filter."""
    net = from_state_dict(load_file(checkpoint / "model.safetensors"))
    pixels = torch.from_numpy(np.array(photo.resize(INPUT, Image.Resampling.BILINEAR)))[None]
    with torch.inference_mode():
        alpha = net(normalise(pixels, torch.float32)).sigmoid()[0, 0].numpy()
    small = Image.fromarray(np.rint(alpha * 255).astype(np.uint8))
    return np.asarray(small.resize(photo.size, Image.Resampling.BICUBIC))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_download_load_remove_restart_unload(
    start: Callable[..., Service],
    hub: Hub,
    checkpoint: Path,
    astronaut: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The model lifecycle by the API, with the status after each step."""
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    service = start(model=MODEL, data_dir=tmp_path / "data", dtype="float32")
    assert model(service)["model_id"] == MODEL
    assert (model(service)["model_downloaded"], model(service)["model_loaded"]) == (False, False)

    act(service, "/remove/download")
    assert (model(service)["model_downloaded"], model(service)["model_loaded"]) == (True, False)
    assert service.client.post("/remove/download").json() == {"task_id": None}

    task_id = service.client.post("/remove/load").json()["task_id"]
    percents, middles = [], []
    for task in follow(service, task_id):
        percents.append(task["percent"])
        middle = model(service)
        if service.task(task_id)["status"] == "running":  # it was when the model was asked for, too
            middles.append((middle["model_loading"], middle["model_loaded"]))
    assert (task["status"], task["message"]) == ("complete", "Model loaded")
    assert set(middles) == {(True, False)}
    assert percents == sorted(percents)
    assert len(set(percents)) > 2
    loaded = model(service)
    assert (loaded["model_loaded"], loaded["model_loading"], loaded["model_error"]) == (True, False, None)
    assert (loaded["device"], loaded["dtype"], loaded["loader"]) == ("cpu", "float32", "native")
    assert service.client.post("/remove/load").json() == {"task_id": None}

    task_id = service.upload(astronaut)
    assert service.finished(task_id, timeout_s=200)["status"] == "complete"
    result = service.client.get(f"/remove/result/{task_id}").json()
    assert result["model_id"] == MODEL
    cutout = service.client.get(result["result_url"].removeprefix("/api/v1")).content
    alpha = np.asarray(opened(cutout).getchannel("A")).astype(int)
    assert np.abs(alpha - expected_alpha(checkpoint, opened(astronaut))).max() <= 1

    first = service.worker()["pid"]
    act(service, "/worker/restart")
    second = service.worker()["pid"]
    assert second != first
    assert model(service)["model_loaded"] is True

    answer = service.client.post("/remove/unload").json()
    assert answer["unloaded"] is True
    assert answer["freed_bytes"] > 100e6
    assert not psutil.pid_exists(second)
    assert (model(service)["model_downloaded"], model(service)["model_loaded"]) == (True, False)


def test_a_damaged_checkpoint_is_reported_and_the_builtin_model_works(
    start: Callable[..., Service], checkpoint: Path, tmp_path: Path
) -> None:
    """The status holds the reason that it cannot be loaded."""
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / WEIGHTS).write_bytes((checkpoint / "model.safetensors").read_bytes()[:5000])
    service = start(model=folder)
    answer = service.client.post("/remove/load").json()
    if answer.get("task_id"):
        assert service.finished(answer["task_id"])["code"] == "model_unfit"
        wait_for(lambda: "damaged" in str(model(service)["model_error"]))
    else:
        assert answer["code"] == "model_unavailable"
    assert service.cut((Path(__file__).parents[2] / "scripts/samples/cat.jpg").read_bytes(), model="builtin")


def test_a_removal_with_birefnet_downloads_it_first(
    start: Callable[..., Service], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, astronaut: bytes
) -> None:
    """Without a hub, the removal fails with the download's error."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    service = start(data_dir=tmp_path / "data")
    task_id = service.upload(astronaut, model="birefnet")
    task = service.finished(task_id, timeout_s=90)
    assert task["code"] == "download_failed"
    assert any(each["task_id"].startswith("bgdownload_") for each in service.client.get("/tasks").json())


def test_auto_resolves_to_birefnet_once_it_is_downloaded(
    start: Callable[..., Service], checkpoint: Path
) -> None:
    """The better model is the default as soon as it is available."""
    service = start(model=checkpoint, birefnet_worker="tests.fake_workers.behaviours:answers")
    task_id = service.upload((Path(__file__).parents[2] / "scripts/samples/cat.jpg").read_bytes())
    assert service.finished(task_id)["status"] == "complete"
    assert service.client.get(f"/remove/result/{task_id}").json()["model_id"] == "fake"
