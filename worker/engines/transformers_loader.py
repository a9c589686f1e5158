"""The transformers loader: runs the Python code that a hub repository ships with its weights.

Off by default, since that code may do anything. Only the downloaded snapshot is used.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from shared.errors import ModelUnfit, WorkerStartFailed
from shared.hub_cache import CONFIG_NAME
from worker.engines import LoadProgressFn, weights
from worker.engines.torch_device import is_out_of_memory


class LastOutput(nn.Module):
    """Returns the last output of a hub model, which returns a list of predictions, the finest last."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 3, H, W) to logits (B, 1, H, W)."""
        outputs: Any = self.model(image)
        logits: Tensor = outputs[-1] if isinstance(outputs, list | tuple) else outputs
        return logits


def load(path: Path, device: torch.device, dtype: torch.dtype, on_progress: LoadProgressFn) -> nn.Module:
    """Build the network with `AutoModelForImageSegmentation`. Raises WorkerStartFailed or ModelUnfit."""
    _reject_remote_code(path)
    try:
        model = _build(path, on_progress)
        on_progress(40, "Loading the model")
        state = weights.read(path, lambda share: on_progress(40 + 50 * share, "Loading the model"))
        model.load_state_dict(state)
    except ImportError as error:
        raise WorkerStartFailed(f"The model's code needs a package: {_first_cause(error)}") from error
    except (OSError, ValueError, RuntimeError, AttributeError, TypeError) as error:
        if isinstance(error, RuntimeError) and is_out_of_memory(error):
            raise
        first, *_ = str(error).splitlines() or [type(error).__name__]
        raise ModelUnfit(f"transformers cannot load the model: {first}") from error
    on_progress(90, "Placing the model")
    return LastOutput(model).to(device=device, dtype=dtype).eval()


def _build(path: Path, on_progress: LoadProgressFn) -> nn.Module:
    """Build the network with the snapshot's code, with random weights.

    Not by `from_pretrained`: transformers 5 then runs the code on the meta device, which parts of the hub's
    code do not support, and expects attributes that older code lacks.
    """
    # Read when transformers is imported: prevents it from fetching newer code than was downloaded.
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        from transformers import AutoConfig, AutoModelForImageSegmentation  # noqa: PLC0415
    except (ImportError, RuntimeError) as error:  # RuntimeError: torchvision without its operators
        raise WorkerStartFailed(f"transformers cannot be imported: {error}") from error
    on_progress(20, "Building the model")
    config = AutoConfig.from_pretrained(path, trust_remote_code=True)
    build: Callable[..., nn.Module] = AutoModelForImageSegmentation.from_config
    return build(config, trust_remote_code=True)


def _first_cause(error: BaseException) -> BaseException:
    """Return the root cause: transformers wraps every import error in its own "Could not import"."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _reject_remote_code(path: Path) -> None:
    """Raise ModelUnfit for a configuration with code outside the snapshot: "owner/name--file.Class"."""
    try:
        auto_map = json.loads((path / CONFIG_NAME).read_text(encoding="utf-8"))["auto_map"]
        foreign = [name for name in auto_map.values() if "--" in str(name)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelUnfit(
            f"There is no {CONFIG_NAME} that names the network's code (auto_map): set BGREMOVE_LOADER=native."
        ) from error
    if foreign:
        raise ModelUnfit("The model's code is in another repository; only code that came with it is run.")
