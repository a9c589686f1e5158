"""Builds a network that is ready for inference from a checkpoint's tensors."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from shared.errors import ModelUnfit
from worker.birefnet.config import detect_backbone
from worker.birefnet.fused import FusedBiRefNet
from worker.birefnet.model import BiRefNet
from worker.birefnet.swin import relative_position_index


def from_state_dict(
    state: Mapping[str, Tensor],
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    optimize: bool = True,
) -> nn.Module:
    """Return the network for the tensors in `state`, in evaluation mode, without gradients.

    It maps a normalised (B, 3, H, W), H and W multiples of 32, to logits (B, 1, H, W) in float32.

    `state` holds a published checkpoint, or one with the same names and shapes, of any float dtype; the
    backbone is detected from the shapes. `optimize` derives the fused network, which computes the same;
    without it, the network has the paper's structure. Raises ModelUnfit.
    """
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
        raise ModelUnfit(
            f"The checkpoint does not fit {config.name}: {str(error).splitlines()[-1].strip()}"
        ) from error
    network.eval().requires_grad_(requires_grad=False)
    final = FusedBiRefNet(network).eval() if optimize else network
    return final.to(device=device, dtype=dtype)


def _cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _derive_buffers(network: nn.Module, window: int) -> dict[str, Tensor]:
    """Return the buffers that a checkpoint may omit, since they follow from the network's sizes."""
    index = relative_position_index(window)
    constants = {"relative_position_index": index, "num_batches_tracked": torch.tensor(0)}
    names = (name for name, _ in network.named_buffers())
    return {name: constants[leaf] for name in names if (leaf := name.rpartition(".")[2]) in constants}
