"""The native loader: BiRefNet as `worker.birefnet` builds it, without code from the hub."""

from pathlib import Path

import torch
from torch import nn

from worker.birefnet import from_state_dict
from worker.engines import OnLoading, weights


def load(path: Path, device: torch.device, dtype: torch.dtype, on_loading: OnLoading) -> nn.Module:
    """Build the network from the safetensors files in a folder. Raises ModelUnfit."""
    state = weights.read(path, lambda share: on_loading(20 + 60 * share, "Loading the model"))
    on_loading(80, "Placing the model")
    network = from_state_dict(state, device=device, dtype=dtype)
    on_loading(100, "Model loaded")
    return network
