"""The fused BiRefNet: the plain network's function in fewer, larger and narrower operations."""

from typing import cast

import torch
from torch import Tensor, nn

from worker.birefnet import blocks as plain
from worker.birefnet.blocks import resize
from worker.birefnet.fused.fused_decoder import BasicDecBlk, Decoder
from worker.birefnet.fused.fused_swin import SwinTransformer
from worker.birefnet.model import BiRefNet


class FusedBiRefNet(nn.Module):
    """BiRefNet derived from a plain network in evaluation mode, whose weights it takes over."""

    def __init__(self, network: BiRefNet) -> None:
        super().__init__()
        self.bb = SwinTransformer(network.bb)
        self.squeeze = BasicDecBlk(cast("plain.BasicDecBlk", network.squeeze_module[0]))
        self.decoder = Decoder(network.decoder)

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 3, H, W), H and W multiples of 32, to logits (B, 1, H, W) in float32."""
        image = image.to(self.squeeze.conv_out.weight.dtype, memory_format=torch.channels_last)
        height, width = image.shape[2:]
        full, half = self.bb(image, resize(image, (height // 2, width // 2)))
        squeezed = self.squeeze(_concatenate_deepest(full, half))
        return self.decoder(image, full, half, squeezed).float()


def _concatenate_deepest(full: list[Tensor], half: list[Tensor]) -> Tensor:
    """Return all maps, resized to the deepest one and concatenated."""
    size = full[3].shape[2:]
    pairs = zip(full, half, strict=True)
    return torch.cat([resize(x, size) for one, two in pairs for x in (one, resize(two, one.shape[2:]))], 1)
