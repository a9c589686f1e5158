"""A download over real HTTP, and who shares what it brings."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.downloading import (
    blob,
    cache,
    check_complete,
    download,
    downloaded,
    held_at,
    model,
    state,
)
from tests.hub import COMMIT, REPO_ID, WEIGHTS, Hub
from tests.service import Service, running, wait_for

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and limits")


def test_a_download_brings_weights_and_configuration_and_nothing_else(
    cloud: Service, hub: Hub, data: Path
) -> None:
    """Code from the hub is not wanted, and a second click has nothing to do."""
    fields = model(cloud)
    assert (fields["model_id"], fields["revision"], fields["licence"]) == (REPO_ID, "main", "MIT")
    assert (fields["model_downloaded"], fields["model_downloading"], fields["commit"]) == (False, False, None)
    task = downloaded(cloud)
    assert (task["status"], task["percent"]) == ("complete", 100)
    assert task["task_id"].startswith("bgdownload_")
    assert any(line.startswith("Checking") for line in task["logs"])
    check_complete(cloud, data, hub)
    assert download(cloud) is None
    assert hub.asked_for(WEIGHTS) == 1
    assert hub.sent == len(hub.files[WEIGHTS])


def test_the_token_goes_to_the_hub_and_not_to_its_storage(cloud: Service, hub: Hub) -> None:
    """A token at a third party is a leak."""
    downloaded(cloud)
    assert hub.tokens == {"hub": {"Bearer hf_secret"}, "storage": {None}}


def test_the_percentage_is_that_of_the_bytes(cloud: Service, hub: Hub, data: Path) -> None:
    """The user reads from it how long the train ride has to be."""
    task_id = held_at(cloud, hub, data, 500_000)
    total = len(hub.files[WEIGHTS]) + len(hub.files["config.json"])
    share = 100 * (500_000 + len(hub.files["config.json"])) / total
    wait_for(lambda: cloud.task(task_id)["percent"] == round(share, 1))
    assert cloud.task(task_id)["message"].startswith("0.5 MB of 1.0 MB")
    assert state(cloud) == (False, True, None)
    hub.released.set()
    assert cloud.finished(task_id)["status"] == "complete"
    check_complete(cloud, data, hub)


def test_a_proxy_is_used(
    hub: Hub, environment: pytest.MonkeyPatch, cloud: Service, data: Path, tmp_path: Path
) -> None:
    """In many companies there is no other way out."""
    assert cloud
    with environment.context() as patch:
        patch.setenv("HF_ENDPOINT", "http://hub.invalid")
        patch.setenv("HTTP_PROXY", hub.url)
        with running(data, tmp_path / "temp") as company:
            assert downloaded(company)["status"] == "complete"
            check_complete(company, data, hub)


def test_two_clicks_are_one_download(cloud: Service, hub: Hub, data: Path) -> None:
    """Impatience must not cost the user's traffic twice."""
    task_id = held_at(cloud, hub, data, 100_000)
    assert download(cloud) == task_id
    hub.released.set()
    assert cloud.finished(task_id)["status"] == "complete"
    assert hub.asked_for(WEIGHTS) == 1


def test_the_hubs_own_library_shares_the_cache(cloud: Service, hub: Hub, data: Path) -> None:
    """It finds what we downloaded, without a connection; we take what it downloaded."""
    code = (
        "import sys; from huggingface_hub import snapshot_download;"
        f"print(snapshot_download({REPO_ID!r}, cache_dir=sys.argv[1],"
        " local_files_only=sys.argv[2] == 'local', allow_patterns=['*.safetensors', 'config.json']))"
    )

    def library(where: str) -> str:
        folder = str(cache(data).parent)
        command = [sys.executable, "-c", code, folder, where]
        run = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
        return run.stdout.strip()

    fetched = library("hub")
    asked = hub.asked_for(WEIGHTS)
    assert downloaded(cloud)["status"] == "complete"
    assert hub.asked_for(WEIGHTS) == asked
    assert state(cloud) == (True, False, None)
    shutil.rmtree(data / "models")
    assert downloaded(cloud)["status"] == "complete"
    assert library("local") == fetched == str(cache(data) / "snapshots" / COMMIT)


def test_no_route_ends_with_a_sentence_and_a_checked_model_needs_none(
    cloud: Service, hub: Hub, data: Path, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On a plane the service still says what is wrong, and still knows a model that it has checked."""
    with environment.context() as patch:
        patch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
        with running(data, tmp_path / "temp") as plane:
            task = downloaded(plane)
            assert (task["status"], task["code"]) == ("error", "download_failed")
            assert task["message"].startswith("There is no connection to 127.0.0.1: ")
            assert state(plane) == (False, False, task["message"])
    assert downloaded(cloud)["status"] == "complete"
    os.utime(blob(data, hub))
    asked = len(hub.paths)
    with environment.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        with running(data, tmp_path / "offline") as offline:
            assert downloaded(offline)["status"] == "complete"
            check_complete(offline, data, hub)
            with blob(data, hub).open("rb+") as file:
                file.write(b"x")
            task = downloaded(offline)
            assert (task["code"], "HF_HUB_OFFLINE" in task["message"]) == ("download_failed", True)
    assert len(hub.paths) == asked


def test_the_hubs_code_is_fetched_only_for_the_loader_that_runs_it(
    cloud: Service, hub: Hub, data: Path, tmp_path: Path
) -> None:
    """A model downloaded for the native loader is not enough for the other one."""
    downloaded(cloud)
    with running(data, tmp_path / "temp", loader="transformers") as service:
        assert state(service) == (False, False, None)
        assert downloaded(service)["status"] == "complete"
        assert (cache(data) / "snapshots" / COMMIT / "birefnet.py").exists()
        assert state(service) == (True, False, None)
    assert hub.asked_for(WEIGHTS) == 1
    assert state(cloud) == (True, False, None)


def test_two_services_with_one_data_folder_download_once(
    cloud: Service, hub: Hub, data: Path, tmp_path: Path
) -> None:
    """Writing the same file together would damage it."""
    with running(data, tmp_path / "temp") as other:
        task_id = held_at(cloud, hub, data, 200_000)
        second = download(other)
        assert second is not None
        wait_for(lambda: "another download" in other.task(second)["message"])
        hub.released.set()
        assert cloud.finished(task_id)["status"] == "complete"
        assert other.finished(second)["status"] == "complete"
    assert hub.asked_for(WEIGHTS) == 1
    check_complete(cloud, data, hub)
