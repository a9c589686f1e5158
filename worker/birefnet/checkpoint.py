"""Builds a network that is ready for inference from a checkpoint's tensors."""

import textwrap
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from shared.errors import ModelUnfit
from worker.birefnet.config import FIRST_TENSOR, detect_backbone
from worker.birefnet.fused import FusedBiRefNet
from worker.birefnet.model import BiRefNet
from worker.birefnet.swin import relative_position_index

MAX_REASON = 300  # characters: PyTorch lists every tensor that is missing


def from_state_dict(
    state: Mapping[str, Tensor],
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    optimize: bool = True,
) -> nn.Module:
    """Return the network for the tensors in `state`, in evaluation mode, without gradients.

    It maps a normalised (B, 3, H, W), H and W multiples of 32, to logits (B, 1, H, W) in float32.

    `state` holds a published checkpoint, or one with the same names and shapes, of any float dtype, also with
    a common prefix before the names; the backbone is detected from the shapes. `optimize` derives the fused
    network, which computes the same; without it, the network has the paper's structure. Raises ModelUnfit.
    """
    state = _strip_prefix(state)
    config = detect_backbone({name: tuple(tensor.shape) for name, tensor in state.items()})
    with torch.device("meta"):
        network = BiRefNet(config)
    # Folding batch norms into convolutions needs float32; the backbone has none to fold.
    decoder_dtype = torch.float32 if optimize else dtype
    tensors = {
        name: _cast(tensor, dtype if name.startswith("bb.") else decoder_dtype)
        for name, tensor in state.items()
    }
    try:
        network.load_state_dict(_derive_buffers(network, config.window) | tensors, strict=True, assign=True)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ModelUnfit(
            f"The checkpoint does not fit {config.name}: {textwrap.shorten(reason, MAX_REASON)}"
        ) from error
    network.eval().requires_grad_(requires_grad=False)
    final = FusedBiRefNet(network).eval() if optimize else network
    return final.to(device=device, dtype=dtype)


def _strip_prefix(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return the tensors by their names in the network.

    Training may save them with a common prefix: "module." (DataParallel), "_orig_mod." (torch.compile).
    """
    prefixes = [name.removesuffix(FIRST_TENSOR) for name in state if name.endswith(f".{FIRST_TENSOR}")]
    if FIRST_TENSOR in state or len(prefixes) != 1:
        return state
    return {name.removeprefix(prefixes[0]): tensor for name, tensor in state.items()}


def _cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _derive_buffers(network: nn.Module, window: int) -> dict[str, Tensor]:
    """Return the buffers that a checkpoint may omit, since they follow from the network's sizes."""
    index = relative_position_index(window)
    constants = {"relative_position_index": index, "num_batches_tracked": torch.tensor(0)}
    names = (name for name, _ in network.named_buffers())
    return {name: constants[leaf] for name in names if (leaf := name.rpartition(".")[2]) in constants}
