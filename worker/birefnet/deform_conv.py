"""Modulated deformable convolution (DCNv2) without torchvision's operator, tap by tap.

Zhu et al., "Deformable ConvNets v2: More Deformable, Better Results", 2018.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


class DeformableConv2d(nn.Module):
    """A k x k convolution whose taps have a learnt offset and modulation per pixel."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int) -> None:
        super().__init__()
        taps, padding = kernel * kernel, kernel // 2
        self.kernel = kernel
        self.offset_conv = nn.Conv2d(channels_in, 2 * taps, kernel, padding=padding)
        self.modulator_conv = nn.Conv2d(channels_in, taps, kernel, padding=padding)
        self.regular_conv = nn.Conv2d(channels_in, channels_out, kernel, padding=padding, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C_in, H, W) to (B, C_out, H, W). Samples outside the map are zero."""
        height, width = x.shape[2:]
        offsets = self.offset_conv(x).float().unflatten(1, (-1, 2))  # (B, taps, (dy, dx), H, W), in pixels
        modulation = 2 * torch.sigmoid(self.modulator_conv(x))
        rows = torch.arange(height, device=x.device)[:, None]
        columns = torch.arange(width, device=x.device)
        out = torch.zeros((), device=x.device, dtype=x.dtype)
        for tap in range(self.kernel**2):
            y = rows + tap // self.kernel - self.kernel // 2 + offsets[:, tap, 0]
            across = columns + tap % self.kernel - self.kernel // 2 + offsets[:, tap, 1]
            # grid_sample's coordinates run from -1 to 1 between the outer edges of the outer pixels.
            grid = torch.stack(((2 * across + 1) / width - 1, (2 * y + 1) / height - 1), -1)
            sampled = (
                F.grid_sample(x.float(), grid, align_corners=False).to(x.dtype) * modulation[:, tap, None]
            )
            weight = self.regular_conv.weight[:, :, tap // self.kernel, tap % self.kernel]
            out = out + torch.einsum("oc,bchw->bohw", weight, sampled)
        return out
