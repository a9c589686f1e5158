"""Downloads by the command line: `models download`, in short `download`, and at a removal."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.downloading import cache
from tests.hub import COMMIT, REPO_ID, WEIGHTS, Fault, Hub
from tests.integration import commands
from tests.integration.commands import Run
from tests.photos import wish
from tests.service import OBEYS, Service

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and limits")
LITE = "ZhengPeng7/BiRefNet_lite"
Bgremove = Callable[..., Run]


@pytest.fixture
def bgremove(environment: pytest.MonkeyPatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bgremove:
    """Run the command line with a data folder, and a hub that is as new."""
    assert environment
    monkeypatch.setattr(commands, "ENVIRONMENT", {**os.environ, "BGREMOVE_NO_BOOTSTRAP": "1"})

    def run(data: str, *arguments: object, **variables: str) -> Run:
        return commands.bgremove(
            *arguments, settings={"BGREMOVE_DATA_DIR": str(tmp_path / data), **variables}
        )

    return run


def test_the_command_line_downloads_and_copies(bgremove: Bgremove, hub: Hub, tmp_path: Path) -> None:
    """One line before a journey; and the same for a machine that never sees a network."""
    done = bgremove("one", "download", "--model", "birefnet")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr.endswith(f"bgremove: {REPO_ID} is downloaded\n")
    snapshot = cache(tmp_path / "one") / "snapshots" / COMMIT
    copied = bgremove("two", "models", "download", "--from", snapshot)
    assert copied.returncode == 0, copied.stderr
    (record,) = (tmp_path / "two" / "models" / "birefnet" / "records").iterdir()
    fields = json.loads(record.read_text())
    assert fields["commit"].startswith("local-")
    assert set(fields["files"]) == {WEIGHTS, "config.json"}
    asked = len(hub.paths)
    again = bgremove("two", "download", HF_HUB_OFFLINE="1")
    assert (again.returncode, again.stderr.splitlines()[-1]) == (0, f"bgremove: {REPO_ID} is here already")
    assert len(hub.paths) == asked
    failed = bgremove("three", "download", "--from", record.parent)
    assert (failed.returncode, len(failed.stderr.splitlines())) == (1, 1)
    assert "not a folder with a *.safetensors file" in failed.stderr


def test_a_named_model_is_downloaded_listed_and_deleted(bgremove: Bgremove, hub: Hub) -> None:
    """The name is that of the list."""
    hub.repo_id = LITE
    done = bgremove("data", "models", "download", "birefnet_LITE")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, f"bgremove: {LITE} is downloaded")
    listed = json.loads(bgremove("data", "models", "list", "--json").stdout)
    (model,) = (model for model in listed if model["state"] == "on_disk")
    assert (model["name"], model["default"]) == ("BiRefNet_lite", False)
    assert model["disk_bytes"] >= len(hub.files[WEIGHTS])
    done = bgremove("data", "models", "remove", "BiRefNet_lite")
    assert (done.returncode, done.stderr) == (0, "bgremove: BiRefNet_lite is deleted, 1.0 MB\n")


def test_a_running_server_downloads(bgremove: Bgremove, cloud: Service, hub: Hub) -> None:
    """Into its own data folder; without a name, its default model."""
    done = bgremove("none", "models", "download", "--server", cloud.url)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "bgremove: birefnet is downloaded")
    hub.repo_id = LITE
    done = bgremove("none", "download", "--model", "BiRefNet_lite", "--server", cloud.url)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "bgremove: BiRefNet_lite is downloaded")
    states = {model["name"]: model["state"] for model in cloud.client.get("/models").json()["models"]}
    assert (states["BiRefNet"], states["BiRefNet_lite"]) == ("on_disk", "on_disk")


def test_a_refused_download_is_one_line(bgremove: Bgremove, hub: Hub) -> None:
    """With the hub's reason, after the progress."""
    hub.refusal = (404, {"X-Error-Code": "RepoNotFound"})
    done = bgremove("data", "models", "download", "me/gone")
    assert done.returncode == 1
    assert "me/gone" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_the_first_removal_with_a_model_downloads_it(bgremove: Bgremove, hub: Hub, tmp_path: Path) -> None:
    """Nothing has to be prepared, and the user sees what the photo waits for."""
    hub.repo_id = LITE
    hub.faults = [Fault("stall", 500_000)]
    photo = tmp_path / "photo.png"
    photo.write_bytes(wish())
    words = ("remove", photo, "--model", "BiRefNet_lite", "--overwrite")
    settings = {"BGREMOVE_BIREFNET_WORKER": OBEYS, "BGREMOVE_DATA_DIR": str(tmp_path / "data")}
    environment = {**commands.ENVIRONMENT, **settings}
    with subprocess.Popen(
        commands.command(*words), env=environment, stderr=subprocess.PIPE, text=True
    ) as first:
        assert first.stderr
        progress = next((line for line in first.stderr if " MB of 1.0 MB" in line), "none")
        hub.released.set()
        rest = first.stderr.read()
    assert progress.startswith("bgremove: 0.")
    assert first.returncode == 0, rest
    again = bgremove("data", *words, BGREMOVE_BIREFNET_WORKER=OBEYS)
    assert again.returncode == 0, again.stderr
    assert hub.asked_for(WEIGHTS) == 1
