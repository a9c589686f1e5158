"""The native loader: BiRefNet as implemented in `worker.birefnet`, without code from the hub."""

from pathlib import Path

import torch
from torch import nn

from worker.birefnet import from_state_dict
from worker.engines import LoadProgressFn, weights


def load(path: Path, device: torch.device, dtype: torch.dtype, on_progress: LoadProgressFn) -> nn.Module:
    """Build the network from the safetensors files in a folder. Raises ModelUnfit."""
    state = weights.read(path, lambda share: on_progress(20 + 60 * share, "Loading the model"))
    on_progress(80, "Placing the model")
    network = from_state_dict(state, device=device, dtype=dtype)
    on_progress(100, "Model loaded")
    return network
