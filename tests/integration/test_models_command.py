"""`bgremove.py models`: the list, and what it deletes."""

import json
from pathlib import Path

import pytest

from shared.hub_cache import cache_root
from tests.integration.commands import Run, bgremove
from tests.photos import wish
from tests.unit.test_model_registry import put_in_cache


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """Return the settings of a data folder that holds one model of the hub."""
    put_in_cache(tmp_path, "me/shoes")
    return {"BGREMOVE_DATA_DIR": str(tmp_path / "data"), "U2NET_HOME": str(tmp_path)}


def test_the_list_marks_the_default_model(settings: dict[str, str]) -> None:
    """Each line has a name that --model takes."""
    done = bgremove("models", "list", settings={**settings, "BGREMOVE_MODEL": "BiRefNet_lite"})
    lines = done.stdout.splitlines()
    assert lines[0].split()[:3] == ["BiRefNet_lite", "*", "available"]
    assert any(line.split()[:2] == ["me/shoes", "on_disk"] for line in lines)
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


@pytest.mark.parametrize("arguments", [("models", "remove", "unet"), ("models", "download", "unet")])
def test_an_unknown_model_is_refused_before_anything_starts(
    settings: dict[str, str], arguments: tuple[str, ...]
) -> None:
    """The nearest names are what was meant."""
    done = bgremove(*arguments, settings=settings)
    assert done.returncode == 2
    assert "u2net" in done.stderr.splitlines()[-1]


def test_a_model_that_cannot_be_downloaded_by_the_service_is_named(
    settings: dict[str, str], tmp_path: Path
) -> None:
    """One line with the reason; nothing is downloaded from a stranger's repository by a removal."""
    photo = tmp_path / "photo.png"
    photo.write_bytes(wish())
    done = bgremove("remove", photo, "--model", "me/hats", settings=settings)
    assert done.returncode == 1
    assert "me/hats is not on this machine" in done.stderr.splitlines()[-1]
