"""The decoder's building blocks, with deformable atrous spatial pyramid pooling (ASPP).

Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017 (ASPP); Zheng et al.,
"Bilateral Reference for High-Resolution Dichotomous Image Segmentation", 2024 (BiRefNet).
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from worker.birefnet.deform_conv import DeformableConv2d

INNER = 64  # channels inside every block
BRANCH = 256  # channels of each ASPP branch


def resize(x: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Resize (B, C, H, W) to `size` bilinearly with aligned corners, as BiRefNet does everywhere."""
    return F.interpolate(x, size=size, mode="bilinear", align_corners=True)


class AsppBranch(nn.Module):
    """One ASPP branch: deformable convolution, batch norm, ReLU."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.atrous_conv = DeformableConv2d(INNER, BRANCH, kernel)
        self.bn: nn.Module = nn.BatchNorm2d(BRANCH)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 64, H, W) to (B, 256, H, W)."""
        return F.relu(self.bn(self.atrous_conv(x)))


class AsppDeformable(nn.Module):
    """Atrous spatial pyramid pooling (ASPP): deformable convolutions of several sizes, and global pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.aspp1 = AsppBranch(1)
        self.aspp_deforms = nn.ModuleList(AsppBranch(kernel) for kernel in (1, 3, 7))
        self.global_avg_pool = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(INNER, BRANCH, 1, bias=False),
            nn.BatchNorm2d(BRANCH),
            nn.ReLU(),
        )
        self.conv1 = nn.Conv2d(5 * BRANCH, INNER, 1, bias=False)
        self.bn1: nn.Module = nn.BatchNorm2d(INNER)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 64, H, W) to the same shape."""
        whole = self.global_avg_pool(x).expand(-1, -1, *x.shape[2:])
        branches = [self.aspp1(x), *(branch(x) for branch in self.aspp_deforms), whole]
        return F.relu(self.bn1(self.conv1(torch.cat(branches, 1))))


class BasicDecBlk(nn.Module):
    """The decoder's block: reduce to 64 channels, deformable ASPP, project to the output channels."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(channels_in, INNER, 3, padding=1)
        self.bn_in: nn.Module = nn.BatchNorm2d(INNER)
        self.dec_att = AsppDeformable()
        self.conv_out = nn.Conv2d(INNER, channels_out, 3, padding=1)
        self.bn_out: nn.Module = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C_in, H, W) to (B, C_out, H, W)."""
        x = self.dec_att(F.relu(self.bn_in(self.conv_in(x))))
        return self.bn_out(self.conv_out(x))


class SimpleConvs(nn.Module):
    """Two convolutions without an activation between them, for patches of the input image."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, INNER, 3, padding=1)
        self.conv_out = nn.Conv2d(INNER, channels_out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C_in, H, W) to (B, C_out, H, W)."""
        return self.conv_out(self.conv1(x))


class LateralBlock(nn.Module):
    """A lateral connection: a 1 x 1 convolution on an encoder feature map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        return self.conv(x)
