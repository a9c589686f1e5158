"""BiRefNet's decoder: upsamples the deepest feature map to logits, with image patches as inward reference."""

import torch
from torch import Tensor, nn

from worker.birefnet.blocks import BasicDecBlk, LateralBlock, SimpleConvs, resize

GRADIENT = 16  # channels of the gradient branch


def split_tiles(image: Tensor, grid: int) -> Tensor:
    """Split (B, 3, H, W) into grid x grid tiles stacked along channels: (B, 3 grid², H/grid, W/grid)."""
    batch, channels, height, width = image.shape
    tiled = image.view(batch, channels, grid, height // grid, grid, width // grid)
    return tiled.permute(0, 1, 2, 4, 3, 5).reshape(batch, -1, height // grid, width // grid)


class Decoder(nn.Module):
    """Four upsampling stages. `channels` are the encoder's, deepest first."""

    def __init__(self, channels: tuple[int, int, int, int]) -> None:
        super().__init__()
        c0, c1, c2, c3 = channels
        self.ipt_blk5 = SimpleConvs(3 * 32**2, c0 // 8)
        self.ipt_blk4 = SimpleConvs(3 * 16**2, c0 // 8)
        self.ipt_blk3 = SimpleConvs(3 * 8**2, c1 // 8)
        self.ipt_blk2 = SimpleConvs(3 * 4**2, c2 // 8)
        self.ipt_blk1 = SimpleConvs(3, c3 // 8)
        self.decoder_block4 = BasicDecBlk(c0 + c0 // 8, c1)
        self.decoder_block3 = BasicDecBlk(c1 + c0 // 8, c2)
        self.decoder_block2 = BasicDecBlk(c2 + c1 // 8, c3)
        self.decoder_block1 = BasicDecBlk(c3 + c2 // 8, c3 // 2)
        self.conv_out1 = nn.Sequential(nn.Conv2d(c3 // 2 + c3 // 8, 1, 1))
        self.lateral_block4 = LateralBlock(c1)
        self.lateral_block3 = LateralBlock(c2)
        self.lateral_block2 = LateralBlock(c3)
        for step, width in ((4, c1), (3, c2), (2, c3)):
            convs = nn.Sequential(
                nn.Conv2d(width, GRADIENT, 3, padding=1), nn.BatchNorm2d(GRADIENT), nn.ReLU()
            )
            self.add_module(f"gdt_convs_{step}", convs)
            self.add_module(f"gdt_convs_attn_{step}", nn.Sequential(nn.Conv2d(GRADIENT, 1, 1)))
            # Used in training only; present so that checkpoints load with strict=True.
            self.add_module(f"gdt_convs_pred_{step}", nn.Sequential(nn.Conv2d(GRADIENT, 1, 1)))
            self.add_module(f"conv_ms_spvn_{step}", nn.Conv2d(width, 1, 1))

    def forward(self, image: Tensor, maps: list[Tensor]) -> Tensor:
        """Return logits (B, 1, H, W) for `image` (B, 3, H, W) and the encoder's maps x1..x4, (B, C, H, W)."""
        x1, x2, x3, x4 = maps
        p = self.decoder_block4(torch.cat((x4, self.ipt_blk5(split_tiles(image, 32))), 1))
        p = self._upsample(4, p, x3) + self.lateral_block4(x3)
        p = self.decoder_block3(torch.cat((p, self.ipt_blk4(split_tiles(image, 16))), 1))
        p = self._upsample(3, p, x2) + self.lateral_block3(x2)
        p = self.decoder_block2(torch.cat((p, self.ipt_blk3(split_tiles(image, 8))), 1))
        p = self._upsample(2, p, x1) + self.lateral_block2(x1)
        p = self.decoder_block1(torch.cat((p, self.ipt_blk2(split_tiles(image, 4))), 1))
        p = resize(p, image.shape[2:])
        return self.conv_out1(torch.cat((p, self.ipt_blk1(image)), 1))

    def _upsample(self, step: int, p: Tensor, like: Tensor) -> Tensor:
        """Multiply a stage's output by its gradient attention and resize it to the next map."""
        gradient = self.get_submodule(f"gdt_convs_{step}")(p)
        attention = torch.sigmoid(self.get_submodule(f"gdt_convs_attn_{step}")(gradient))
        return resize(p * attention, like.shape[2:])
