"""The BiRefNet network: an encoder on two image scales, the squeeze block, and the decoder.

Zheng et al., "Bilateral Reference for High-Resolution Dichotomous Image Segmentation", 2024.
"""

import torch
from torch import Tensor, nn

from worker.birefnet.blocks import BasicDecBlk, resize
from worker.birefnet.config import Backbone
from worker.birefnet.decoder import Decoder
from worker.birefnet.swin import SwinTransformer


class BiRefNet(nn.Module):
    """Maps a normalised image to one logit per pixel, whose sigmoid is the alpha matte.

    Attribute names are those of the published checkpoints.
    """

    def __init__(self, config: Backbone) -> None:
        super().__init__()
        c1, c2, c3, c4 = (2 * channels for channels in config.channels)
        self.bb = SwinTransformer(config)
        self.squeeze_module = nn.Sequential(BasicDecBlk(c1 + c2 + c3 + c4, c4))
        self.decoder = Decoder((c4, c3, c2, c1))

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 3, H, W), H and W multiples of 32, to logits (B, 1, H, W) in float32."""
        image = image.to(next(self.parameters()).dtype)
        maps = self.encode(image)
        maps[3] = self.squeeze_module(maps[3])
        logits: Tensor = self.decoder(image, maps)
        return logits.float()

    def encode(self, image: Tensor) -> list[Tensor]:
        """Return x1..x4: feature maps of the full and half-size image; x4 also holds the others, resized."""
        height, width = image.shape[2:]
        full = self.bb(image)
        half = self.bb(resize(image, (height // 2, width // 2)))
        x1, x2, x3, x4 = (
            torch.cat((one, resize(two, one.shape[2:])), 1) for one, two in zip(full, half, strict=True)
        )
        deep = torch.cat([*(resize(x, x4.shape[2:]) for x in (x1, x2, x3)), x4], 1)
        return [x1, x2, x3, deep]
