"""A worker's configuration: every setting that is about it reaches it."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from shared.catalog import BUILTIN, find_model
from shared.messages import WorkerConfig
from supervisor.models.downloads import Downloads
from supervisor.models.lifecycle import ModelLifecycle
from supervisor.models.registry import BUILTIN_KEEP_ALIVE_S, Models
from supervisor.models.store import ModelStore
from supervisor.settings import load_settings
from supervisor.tasks.task import TaskStore
from supervisor.workers.spec import WorkerSpec


def models_of(folder: Path, *arguments: str) -> Models:
    """Return the models as a supervisor with these flags has them."""
    settings = load_settings(["--data-dir", str(folder / "data"), *arguments])
    tasks = TaskStore(60)
    store = ModelStore(settings.data_dir, find_model(settings.model), settings.revision, settings.loader)
    return Models(settings, tasks, store, Downloads(tasks, store, folder), folder)


def test_birefnets_worker_is_told_all_that_is_set(tmp_path: Path) -> None:
    """A setting that reaches nobody: photos that are too large, a device or a precision that nobody chose."""
    folder = tmp_path / "BiRefNet_HR-of-mine"
    folder.mkdir()
    (folder / "model.safetensors").touch()
    limits = ["--max-pixels=123", "--device=cuda:1", "--dtype=float16", "--cpu-fallback"]
    times = ["--start-timeout-s=1", "--load-timeout-s=2", "--job-timeout-s=3"]
    how = [f"--model={folder}", "--loader=transformers", "--birefnet-worker=tests:mine"]
    models = models_of(tmp_path, *limits, *times, *how)
    spec = asyncio.run(models._prepare_birefnet())
    config = WorkerConfig(
        loader="transformers",
        model_path=str(folder),
        max_pixels=123,
        model_id="BiRefNet_HR-of-mine",
        device="cuda:1",
        dtype="float16",
        input_size=(2048, 2048),
        cpu_fallback=True,
    )
    assert spec == WorkerSpec("tests:mine", config, start_timeout_s=1, load_timeout_s=2, job_timeout_s=3)


def test_the_built_in_models_worker_is_told_the_largest_photo(tmp_path: Path) -> None:
    """It would decode a photo of any size, and the machine's memory would be gone."""
    models = models_of(tmp_path, "--max-pixels=123")

    path = tmp_path / "data/models/builtin/u2netp.onnx"
    path.parent.mkdir(parents=True)
    path.write_text("model")
    models.builtin_file.spec = replace(BUILTIN, sha256=None)
    spec = asyncio.run(models._prepare_builtin())
    assert spec.config == WorkerConfig(
        "onnx", str(path), 123, "u2netp", input_size=(320, 320), network=BUILTIN.network
    )


def test_only_the_built_in_models_worker_ends_by_itself_unless_all_are_to(tmp_path: Path) -> None:
    """It loads in half a second and would hold its memory forever; a large model is to stay."""
    for arguments, birefnet_s, builtin_s in (
        ((), None, BUILTIN_KEEP_ALIVE_S),
        (("--keep-alive-s=5",), 5, 5),
    ):
        workers = {pool.name: pool._workers[0] for pool in models_of(tmp_path, *arguments).pools}
        assert workers["birefnet"]._keep_alive_s == birefnet_s
        assert workers["builtin"]._keep_alive_s == builtin_s


def test_a_loaded_model_is_used_though_its_files_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a user who tidies up the disk gets results of the other model, without a word."""
    models = models_of(tmp_path)
    assert models.resolve("auto").pool.name == "builtin"
    monkeypatch.setattr(ModelLifecycle, "live", property(lambda life: life.pool.name == "birefnet"))
    assert models.resolve("auto").pool.name == "birefnet"
