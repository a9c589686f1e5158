"""A complete repository in the hub's format for tests: a small network with its code and weights."""

import json
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save

from worker.engines import MEAN, STD

CONFIG: dict[str, Any] = {
    "model_type": "tiny_matting",
    "architectures": ["Tiny"],
    "auto_map": {"AutoConfig": "tiny_config.TinyConfig", "AutoModelForImageSegmentation": "tiny.Tiny"},
    "bb_pretrained": False,
    "torch_dtype": "float16",
}
CONFIG_CODE = """
from transformers import PretrainedConfig


class TinyConfig(PretrainedConfig):
    model_type = "tiny_matting"

    def __init__(self, bb_pretrained=False, **kwargs):
        self.bb_pretrained = bb_pretrained
        super().__init__(**kwargs)
"""
# In the style of the family's code: settings of its own instead of the configuration, `item()` during
# construction, no `post_init()`, and a list of predictions.
CODE = """
import torch
from transformers import PreTrainedModel

from .tiny_config import TinyConfig


class Settings:
    steps = 3


class Tiny(PreTrainedModel):
    config_class = TinyConfig

    def __init__(self, bb_pretrained=True, config=TinyConfig()):
        super().__init__(config)
        self.config = Settings()
        self.rates = [rate.item() for rate in torch.linspace(0, 0.1, self.config.steps)]
        self.conv = torch.nn.Conv2d(3, 1, 1)

    def forward(self, x):
        return [torch.zeros_like(x[:, :1]), self.conv(x)]
"""
WEIGHT = 1.5


def repository() -> dict[str, bytes]:
    """Return the files by name, of a network whose logit is the brightness."""
    state = {"conv.weight": torch.full((1, 3, 1, 1), WEIGHT), "conv.bias": torch.zeros(1)}
    return {
        "config.json": json.dumps(CONFIG).encode(),
        "tiny_config.py": CONFIG_CODE.encode(),
        "tiny.py": CODE.encode(),
        "model.safetensors": save(state, metadata={"format": "pt"}),
    }


def alpha_of(photo: Image.Image, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the network's matte of a photo at input size `size` (width, height), computed independently."""
    small = photo.convert("RGB").resize(size, Image.Resampling.BILINEAR)
    pixels = (np.asarray(small, dtype=np.float64) / 255 - MEAN) / STD
    alpha = 1 / (1 + np.exp(-WEIGHT * pixels.sum(2)))
    levels = Image.fromarray(np.rint(alpha * 255).astype(np.uint8))
    return np.asarray(levels.resize(photo.size, Image.Resampling.BICUBIC))
