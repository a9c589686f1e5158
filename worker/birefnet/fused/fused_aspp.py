"""The deformable branches, fused: all four sampled together, slice by slice.

Each slice is finished while it is in the cache. The samples come in the order that a matrix product for each
branch wants, and the branches' 1280 channels never exist for more than one slice.
"""

from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from worker.birefnet import blocks as plain
from worker.birefnet.deform_conv import DeformableConv2d
from worker.birefnet.fused.folding import Convolution, absorbed, fixed
from worker.birefnet.fused.sampling import Shifts, sampler

# Pixels of one slice. On a CPU its samples should stay in the cache; a GPU wants enough work for a kernel.
SLICE_PIXELS = {"cpu": 1024, "cuda": 1 << 16}
CHANNEL_UNIT = 8  # tensor cores take channels by eights


class AsppDeformable(nn.Module):
    """Looks at each pixel's surroundings at several sizes, and at the whole map."""

    def __init__(self, aspp: plain.AsppDeformable) -> None:
        super().__init__()
        branches = [aspp.aspp1, *(cast("plain.AsppBranch", branch) for branch in aspp.aspp_deforms)]
        self.kernels = [branch.atrous_conv.kernel for branch in branches]
        self.shifts = nn.ModuleList(_shifts(branch.atrous_conv) for branch in branches)
        weights, biases = zip(*(_matrix(branch) for branch in branches), strict=True)
        self.weights, self.biases = nn.ParameterList(weights), nn.ParameterList(biases)
        self.pooled = absorbed(aspp.global_avg_pool[1], aspp.global_avg_pool[2])
        head = absorbed(aspp.conv1, aspp.bn1)
        local = len(branches) * plain.BRANCH
        self.head = fixed(head.weight[:, :local, 0, 0].t())
        self.head_of_pooled = fixed(head.weight[:, local:, 0, 0])
        self.head_bias = head.bias

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 64, H, W) to the same shape, channels last in memory."""
        batch, channels, height, width = x.shape
        whole = F.relu(self.pooled(x.mean((2, 3), keepdim=True))).flatten(1)
        constant = F.linear(whole, self.head_of_pooled, self.head_bias)
        shifts = [conv(x).permute(0, 2, 3, 1) for conv in self.shifts]
        out = x.new_empty(batch, height * width, channels)
        rows = max(1, SLICE_PIXELS.get(x.device.type, 1 << 14) // width)
        for item, pixels in enumerate(x.permute(0, 2, 3, 1)):
            pairs = zip(self.kernels, shifts, strict=True)
            sample = sampler(pixels, [Shifts(kernel, values[item]) for kernel, values in pairs])
            for top in range(0, height, rows):
                bottom = min(top + rows, height)
                out[item, top * width : bottom * width] = self._mixed(sample(top, bottom), constant[item])
        return out.view(batch, height, width, channels).permute(0, 3, 1, 2)

    def _mixed(self, samples: Tensor, constant: Tensor) -> Tensor:
        """Convolve a slice's samples, (pixels, taps, 64), and mix the branches: (pixels, 64)."""
        mixed = samples.new_empty(len(samples), len(self.kernels) * plain.BRANCH)
        parts = torch.split(samples, [kernel**2 for kernel in self.kernels], 1)
        columns = torch.split(mixed, plain.BRANCH, 1)
        for part, weight, bias, into in zip(parts, self.weights, self.biases, columns, strict=True):
            torch.addmm(bias, part.flatten(1), weight, out=into)
        return F.relu_(torch.addmm(constant, F.relu_(mixed), self.head))


def _shifts(conv: DeformableConv2d) -> Convolution:
    """Return one convolution in place of two: all taps' dy, all dx, all modulators, and zeros."""
    offset, modulator = conv.offset_conv, conv.modulator_conv
    assert offset.bias is not None  # noqa: S101  # tells the type checker
    assert modulator.bias is not None  # noqa: S101
    weight = torch.cat((offset.weight[0::2], offset.weight[1::2], modulator.weight))
    bias = torch.cat((offset.bias[0::2], offset.bias[1::2], modulator.bias))
    missing = -len(bias) % CHANNEL_UNIT
    return Convolution(F.pad(weight, (0, 0, 0, 0, 0, 0, 0, missing)), F.pad(bias, (0, missing)))


def _matrix(branch: plain.AsppBranch) -> tuple[nn.Parameter, nn.Parameter]:
    """Return a branch's convolution and norm as (taps x 64, 256) and a bias."""
    conv = absorbed(branch.atrous_conv.regular_conv, branch.bn)
    return fixed(conv.weight.permute(2, 3, 1, 0).flatten(0, 2)), fixed(conv.bias)
