"""BiRefNet in PyTorch, without torchvision, timm, kornia or transformers."""

from worker.birefnet.checkpoint import from_state_dict

__all__ = ["from_state_dict"]
