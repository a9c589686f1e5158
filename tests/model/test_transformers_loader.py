"""The transformers loader on a complete repository in the hub's format, with remote code."""

import json
import secrets
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from shared.errors import ModelUnfit, WorkerStartFailed
from shared.messages import WorkerConfig
from tests.remote_code import CODE, CONFIG, alpha_of, repository
from worker.engines import birefnet_engine, transformers_loader
from worker.imaging.matting import compute_matte


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """A snapshot whose network's logit is the brightness."""
    # A new name each time: in one process, transformers caches code by its folder's name.
    folder = tmp_path / "models--owner--tiny" / "snapshots" / secrets.token_hex(20)
    folder.mkdir(parents=True)
    for name, content in repository().items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(autouse=True)
def own_modules_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the remote code's copy out of the user's cache."""
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def engine(folder: Path) -> birefnet_engine.BirefnetEngine:
    """Load a model as the worker does."""
    config = WorkerConfig("transformers", str(folder), 10**9, "owner/tiny", "cpu", "float32", (32, 32))
    return birefnet_engine.BirefnetEngine(config, transformers_loader.load, lambda _percent, _message: None)


@pytest.mark.filterwarnings("ignore")  # transformers' own warnings
def test_remote_code_computes_the_matte(snapshot: Path) -> None:
    """In evaluation mode, from the last output."""
    loaded = engine(snapshot)
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8))
    alpha = compute_matte(photo, loaded, lambda _share: None)[0]
    assert np.abs(alpha.astype(int) - alpha_of(photo, (32, 32))).max() <= 1


@pytest.mark.filterwarnings("ignore")
def test_a_package_that_remote_code_needs_is_named(snapshot: Path) -> None:
    """So that the user can install it."""
    (snapshot / "tiny.py").write_text("import a_package_nobody_has\n" + CODE)
    with pytest.raises((WorkerStartFailed, ModelUnfit), match="a_package_nobody_has"):
        engine(snapshot)


@pytest.mark.filterwarnings("ignore")
def test_a_failing_import_is_reported_with_its_root_cause(snapshot: Path) -> None:
    """transformers hides an unmatched torchvision behind "Could not import module"."""
    broken = """
try:
    raise RuntimeError("operator torchvision::nms does not exist")
except RuntimeError as error:
    raise ModuleNotFoundError("Could not import module 'PreTrainedModel'.") from error
"""
    (snapshot / "tiny.py").write_text(CODE + broken)
    with pytest.raises(WorkerStartFailed, match="torchvision::nms does not exist"):
        engine(snapshot)


@pytest.mark.filterwarnings("ignore")
def test_a_folder_without_a_model_is_rejected(tmp_path: Path) -> None:
    """As unfit, not with a stack trace."""
    with pytest.raises(ModelUnfit):
        engine(tmp_path)


def test_a_single_file_without_code_names_the_loader_for_it(snapshot: Path) -> None:
    """The hub's code and its configuration would have to come from somewhere."""
    with pytest.raises(ModelUnfit, match="BGREMOVE_LOADER=native"):
        engine(snapshot / "model.safetensors")


@pytest.mark.filterwarnings("ignore")
def test_code_from_another_repository_is_rejected_before_it_runs(snapshot: Path) -> None:
    """It was not downloaded with the model, nobody has reviewed it, and it may change."""
    auto = {name: f"stranger/code--{where}" for name, where in CONFIG["auto_map"].items()}
    (snapshot / "config.json").write_text(json.dumps(CONFIG | {"auto_map": auto}))
    with pytest.raises(ModelUnfit, match="another repository"):
        engine(snapshot)


@pytest.mark.filterwarnings("ignore")
def test_weights_that_do_not_fit_the_code_are_rejected(snapshot: Path) -> None:
    """Missing tensors would stay random."""
    state = load_file(snapshot / "model.safetensors")
    save_file({"conv.weight": state["conv.weight"]}, snapshot / "model.safetensors")
    with pytest.raises(ModelUnfit):
        engine(snapshot)
