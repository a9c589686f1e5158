"""The transformers loader on a complete hub-format repository, remote code included."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from shared.errors import ModelUnfit, WorkerStartFailed
from shared.messages import WorkerConfig
from worker.engines import birefnet, transformers

CODE = """
import torch
from transformers import PretrainedConfig, PreTrainedModel


class TinyConfig(PretrainedConfig):
    model_type = "tiny_matting"


class Tiny(PreTrainedModel):
    config_class = TinyConfig

    def __init__(self, config):
        super().__init__(config)
        self.conv = torch.nn.Conv2d(3, 1, 1)
        self.post_init()

    def forward(self, x):
        return [torch.zeros_like(x[:, :1]), self.conv(x)]
"""


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """A snapshot whose network calls bright pixels the subject."""
    folder = tmp_path / "models--owner--tiny" / "snapshots" / ("a" * 40)
    folder.mkdir(parents=True)
    (folder / "tiny.py").write_text(CODE)
    auto = {"AutoConfig": "tiny.TinyConfig", "AutoModelForImageSegmentation": "tiny.Tiny"}
    config = {"model_type": "tiny_matting", "architectures": ["Tiny"], "auto_map": auto}
    (folder / "config.json").write_text(json.dumps(config))
    weights = {"conv.weight": torch.full((1, 3, 1, 1), 5.0), "conv.bias": torch.zeros(1)}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(autouse=True)
def own_modules_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the remote code's copy out of the user's cache."""
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def engine(folder: Path) -> birefnet.BirefnetEngine:
    """Load a model as the worker does."""
    config = WorkerConfig("transformers", str(folder), 10**9, "owner/tiny", "cpu", "float32", (32, 32))
    return birefnet.BirefnetEngine(config, transformers.load, lambda _percent, _message: None)


@pytest.mark.filterwarnings("ignore")  # transformers' own
def test_the_hubs_own_code_gives_the_alpha(snapshot: Path) -> None:
    """As the user wrote it: from_pretrained, eval, and the last output's sigmoid."""
    loaded = engine(snapshot)
    assert loaded.facts.loader == "transformers"
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:, 32:] = 255
    alpha = loaded.alpha(Image.fromarray(pixels), lambda _share: None)
    assert alpha.shape == (64, 64)
    assert alpha[:, :24].max() < 5
    assert alpha[:, 40:].min() > 250


@pytest.mark.filterwarnings("ignore")
def test_a_package_that_the_code_needs_is_named(snapshot: Path) -> None:
    """The user must learn what to install."""
    (snapshot / "tiny.py").write_text("import a_package_nobody_has\n" + CODE)
    with pytest.raises((WorkerStartFailed, ModelUnfit), match="a_package_nobody_has"):
        engine(snapshot)


@pytest.mark.filterwarnings("ignore")
def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    """Not with a stack trace."""
    with pytest.raises(ModelUnfit):
        engine(tmp_path)
