"""The transformers loader: runs the code that the hub ships beside the weights.

Off by default, since that code may do anything. Only the snapshot that was downloaded is used.
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
from worker.engines import OnLoading, weights
from worker.engines.torch_device import is_out_of_memory


class LastOutput(nn.Module):
    """The hub's models return a list of predictions, the finest last."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 3, H, W) to logits (B, 1, H, W)."""
        outputs: Any = self.model(image)
        logits: Tensor = outputs[-1] if isinstance(outputs, list | tuple) else outputs
        return logits


def load(path: Path, device: torch.device, dtype: torch.dtype, on_loading: OnLoading) -> nn.Module:
    """Build the network with `AutoModelForImageSegmentation`. Raises WorkerStartFailed or ModelUnfit."""
    _refuse_foreign_code(path)
    try:
        model = _build(path, on_loading)
        on_loading(40, "Loading the model")
        state = weights.read(path, lambda share: on_loading(40 + 50 * share, "Loading the model"))
        model.load_state_dict(state)
    except ImportError as error:
        raise WorkerStartFailed(f"The model's code needs a package: {_first_cause(error)}") from error
    except (OSError, ValueError, RuntimeError, AttributeError, TypeError) as error:
        if isinstance(error, RuntimeError) and is_out_of_memory(error):
            raise
        first, *_ = str(error).splitlines() or [type(error).__name__]
        raise ModelUnfit(f"transformers cannot load the model: {first}") from error
    on_loading(90, "Placing the model")
    return LastOutput(model).to(device=device, dtype=dtype).eval()


def _build(path: Path, on_loading: OnLoading) -> nn.Module:
    """Return the network that the snapshot's code makes, its weights still random.

    `from_pretrained` would do it in one step, but transformers 5 then runs the code on the meta device, where
    parts of the hub's code cannot run, and asks of it what older code does not have.
    """
    # Read when transformers is imported: it must not look for newer code than was downloaded.
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        from transformers import AutoConfig, AutoModelForImageSegmentation  # noqa: PLC0415
    except (ImportError, RuntimeError) as error:  # torchvision without its operators raises the latter
        raise WorkerStartFailed(f"transformers cannot be imported: {error}") from error
    on_loading(20, "Building the model")
    config = AutoConfig.from_pretrained(path, trust_remote_code=True)
    build: Callable[..., nn.Module] = AutoModelForImageSegmentation.from_config
    return build(config, trust_remote_code=True)


def _first_cause(error: BaseException) -> BaseException:
    """Return what went wrong first: transformers says "Could not import" of every package behind its own."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _refuse_foreign_code(path: Path) -> None:
    """Raise ModelUnfit for a configuration that names code beyond the snapshot: "owner/name--file.Class"."""
    try:
        named = json.loads((path / CONFIG_NAME).read_text(encoding="utf-8"))["auto_map"]
        foreign = [each for each in named.values() if "--" in str(each)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelUnfit(f"The model's {CONFIG_NAME} does not say which code makes its network.") from error
    if foreign:
        raise ModelUnfit("The model's code is in another repository; only code that came with it is run.")
