"""The transformers loader: runs the code that the hub ships beside the weights.

Off by default, since that code may do anything. Only the snapshot that was downloaded is used.
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from shared.errors import ModelUnfit, WorkerStartFailed

log = logging.getLogger("worker.transformers")


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


def load(
    path: Path, device: torch.device, dtype: torch.dtype, on_loading: Callable[[float, str], None]
) -> nn.Module:
    """Build the network with `AutoModelForImageSegmentation`. Raises WorkerStartFailed or ModelUnfit."""
    # Read when transformers is imported: it must not look for newer code than was downloaded.
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        from transformers import AutoModelForImageSegmentation  # noqa: PLC0415
    except (ImportError, RuntimeError) as error:  # torchvision without its operators raises the latter
        raise WorkerStartFailed(f"transformers cannot be imported: {error}") from error
    log.warning("running code from the hub", extra={"snapshot": path.name})
    on_loading(30, "Loading the model")
    try:
        model = AutoModelForImageSegmentation.from_pretrained(
            path, trust_remote_code=True, cache_dir=path.parents[2] if len(path.parts) > 3 else None
        )
    except ImportError as error:
        raise WorkerStartFailed(f"The model's code needs a package: {error}") from error
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelUnfit(f"transformers cannot load the model: {str(error).splitlines()[0]}") from error
    on_loading(90, "Placing the model")
    return LastOutput(model).to(device=device, dtype=dtype).eval()
