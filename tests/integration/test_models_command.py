"""`bgremove.py models`: the list, and what it deletes."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.hub_cache import cache_root
from tests.integration.commands import ENVIRONMENT, TIMEOUT_S, Run, bgremove, command
from tests.photos import wish
from tests.service import OBEYS, Service
from tests.unit.test_model_registry import put_in_cache


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """Return the settings of a data folder that holds one model of the hub."""
    put_in_cache(tmp_path, "me/shoes")
    return {"BGREMOVE_DATA_DIR": str(tmp_path / "data"), "U2NET_HOME": str(tmp_path)}


def test_the_list_marks_the_default_model(settings: dict[str, str]) -> None:
    """Each line has a name that --model takes; the columns are aligned."""
    done = bgremove("models", "list", settings={**settings, "BGREMOVE_MODEL": "BiRefNet_lite"})
    header, first, *others = done.stdout.splitlines()
    assert header.split() == ["name", "state", "size", "kind", "purpose", "licence"]
    assert first.split() == ["BiRefNet_lite", "*", "available", "-", "birefnet", "general,", "small", "MIT"]
    assert {line[header.index("state") - 1] for line in others} == {" "}
    (u2net,) = (line for line in others if line.startswith("u2net "))
    assert u2net[header.index("size") :].split("  ")[0] == "176 MB"
    assert u2net.endswith("Apache-2.0")
    assert any(line.split()[:2] == ["me/shoes", "on_disk"] for line in others)
    assert (done.returncode, done.stderr) == (0, "")


def test_programs_read_the_list_as_json(settings: dict[str, str]) -> None:
    """As the API has it."""
    models = json.loads(bgremove("models", "list", "--json", settings=settings).stdout)
    states = {model["name"]: model["state"] for model in models}
    assert (states["me/shoes"], states["u2net"]) == ("on_disk", "available")


def test_a_model_is_deleted_once(settings: dict[str, str], tmp_path: Path) -> None:
    """What is not there is no failure."""

    def delete() -> Run:
        done = bgremove("models", "remove", "me/shoes", settings=settings)
        assert done.returncode == 0
        return done

    assert "me/shoes is deleted" in delete().stderr
    assert not [path for path in cache_root(tmp_path / "data").rglob("*") if path.is_file()]
    assert "me/shoes is not on disk" in delete().stderr


@pytest.mark.parametrize("path", ["shoes-of-mine", "shoes-of-mine.safetensors"])
def test_files_of_the_users_own_are_not_deleted(settings: dict[str, str], tmp_path: Path, path: str) -> None:
    """The name is that of the list, and the reason is given."""
    own = tmp_path / path
    weights = own if own.suffix else own / "model.safetensors"
    weights.parent.mkdir(exist_ok=True)
    weights.touch()
    done = bgremove("models", "remove", "shoes-of-mine", settings={**settings, "BGREMOVE_MODEL": str(own)})
    expected = "bgremove: shoes-of-mine was not downloaded by this service: delete it by hand.\n"
    assert (done.returncode, done.stderr) == (1, expected)
    assert weights.exists()


def test_a_running_server_keeps_the_files_of_a_loaded_model(
    start: Callable[..., Service], settings: dict[str, str], tmp_path: Path
) -> None:
    """--server lists and deletes the models of that server."""
    service = start(data_dir=tmp_path / "data", birefnet_worker=OBEYS)

    def models(*arguments: str) -> Run:
        return bgremove("models", *arguments, "--server", service.url, settings=settings)

    loading = service.client.post("/models/me/shoes/load").json()["task_id"]
    assert service.finished(loading)["status"] == "complete"
    listed = {model["name"]: model["state"] for model in json.loads(models("list", "--json").stdout)}
    assert listed["me/shoes"] == "loaded"
    refused = models("remove", "me/shoes")
    assert (refused.returncode, refused.stderr) == (1, "bgremove: me/shoes is loaded: unload it first.\n")
    assert models("download", "me/shoes").stderr.endswith("bgremove: me/shoes is here already\n")
    service.client.post("/models/me/shoes/unload")
    assert models("remove", "me/shoes").returncode == 0
    unknown = models("remove", "unet?")
    assert unknown.returncode == 1
    assert "There is no model 'unet?': name one of u2net" in unknown.stderr


def test_a_closed_reader_of_the_list_is_no_traceback(settings: dict[str, str]) -> None:
    """Such as `head`."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        done = subprocess.run(
            command("models", "list"),
            env=ENVIRONMENT | settings | {"PYTHONUNBUFFERED": ""},
            stdout=closed,
            stderr=subprocess.PIPE,
            timeout=TIMEOUT_S,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize(
    "arguments",
    [("models", "remove", "unet"), ("models", "download", "unet"), ("download", "--model", "unet")],
)
def test_an_unknown_model_is_refused_before_anything_starts(
    settings: dict[str, str], arguments: tuple[str, ...]
) -> None:
    """In one line with the nearest names; nothing is installed."""
    done = bgremove(*arguments, settings={**settings, "BGREMOVE_NO_BOOTSTRAP": ""})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("bgremove: There is no model 'unet': name one of u2net")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments", [("models", "download"), ("remove", "photo.png", "--model", "u2net"), ("download",)]
)
def test_a_wrong_default_model_names_its_variable(
    settings: dict[str, str], arguments: tuple[str, ...], tmp_path: Path
) -> None:
    """Else the user wonders about an argument that was never given."""
    (tmp_path / "photo.png").write_bytes(wish())
    done = bgremove(*arguments, settings={**settings, "BGREMOVE_MODEL": "unet"}, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("bgremove: BGREMOVE_MODEL: There is no model 'unet'")


def test_an_import_is_into_the_data_folder_of_this_machine(settings: dict[str, str], tmp_path: Path) -> None:
    """A server has no route for it."""
    words = ("models", "download", "lucida", "--from", tmp_path, "--server", "http://127.0.0.1:9")
    done = bgremove(*words, settings=settings)
    assert (done.returncode, "leave out --server" in done.stderr) == (2, True)


def test_a_model_that_cannot_be_downloaded_by_the_service_is_named(
    settings: dict[str, str], tmp_path: Path
) -> None:
    """One line with the reason; nothing is downloaded from a stranger's repository by a removal."""
    photo = tmp_path / "photo.png"
    photo.write_bytes(wish())
    done = bgremove("remove", photo, "--model", "me/hats", settings=settings)
    assert done.returncode == 1
    assert "me/hats is not on this machine" in done.stderr.splitlines()[-1]
