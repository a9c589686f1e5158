"""Fused deformable ASPP: all four branches are sampled together, slice by slice.

Each slice is completed while it is in the cache. The samples are ordered for one matrix product per branch,
and the branches' 1280 channels exist for one slice at a time only.
"""

from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from worker.birefnet import blocks as plain
from worker.birefnet.deform_conv import DeformableConv2d
from worker.birefnet.fused.folding import Convolution, fold_batchnorm, frozen_parameter
from worker.birefnet.fused.sampling import TapOffsets, make_sampler

# Pixels per slice: few enough for a CPU's cache, enough to occupy a GPU with one kernel.
SLICE_PIXELS = {"cpu": 1024, "cuda": 1 << 16}
CHANNEL_ALIGNMENT = 8  # tensor cores need a multiple of 8 channels


class AsppDeformable(nn.Module):
    """Atrous spatial pyramid pooling (ASPP) with deformable convolutions, derived from a plain one."""

    def __init__(self, aspp: plain.AsppDeformable) -> None:
        super().__init__()
        branches = [aspp.aspp1, *(cast("plain.AsppBranch", branch) for branch in aspp.aspp_deforms)]
        self.kernels = [branch.atrous_conv.kernel for branch in branches]
        self.offset_convs = nn.ModuleList(_fuse_offset_convs(branch.atrous_conv) for branch in branches)
        weights, biases = zip(*(_to_matrix(branch) for branch in branches), strict=True)
        self.weights, self.biases = nn.ParameterList(weights), nn.ParameterList(biases)
        self.pooled_conv = fold_batchnorm(aspp.global_avg_pool[1], aspp.global_avg_pool[2])
        head = fold_batchnorm(aspp.conv1, aspp.bn1)
        local = len(branches) * plain.BRANCH
        self.head = frozen_parameter(head.weight[:, :local, 0, 0].t())
        self.head_of_pooled = frozen_parameter(head.weight[:, local:, 0, 0])
        self.head_bias = head.bias

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 64, H, W) to the same shape, channels last in memory."""
        batch, channels, height, width = x.shape
        whole = F.relu(self.pooled_conv(x.mean((2, 3), keepdim=True))).flatten(1)
        constant = F.linear(whole, self.head_of_pooled, self.head_bias)
        offsets = [conv(x).permute(0, 2, 3, 1) for conv in self.offset_convs]
        out = x.new_empty(batch, height * width, channels)
        rows = max(1, SLICE_PIXELS.get(x.device.type, 1 << 14) // width)
        for item, pixels in enumerate(x.permute(0, 2, 3, 1)):
            pairs = zip(self.kernels, offsets, strict=True)
            sample = make_sampler(pixels, [TapOffsets(kernel, values[item]) for kernel, values in pairs])
            for top in range(0, height, rows):
                bottom = min(top + rows, height)
                mixed = self._mix_branches(sample(top, bottom), constant[item])
                out[item, top * width : bottom * width] = mixed
        return out.view(batch, height, width, channels).permute(0, 3, 1, 2)

    def _mix_branches(self, samples: Tensor, constant: Tensor) -> Tensor:
        """Convolve a slice's samples, (pixels, taps, 64), and apply the 1 x 1 head: (pixels, 64)."""
        mixed = samples.new_empty(len(samples), len(self.kernels) * plain.BRANCH)
        parts = torch.split(samples, [kernel**2 for kernel in self.kernels], 1)
        columns = torch.split(mixed, plain.BRANCH, 1)
        for part, weight, bias, out in zip(parts, self.weights, self.biases, columns, strict=True):
            torch.addmm(bias, part.flatten(1), weight, out=out)
        return F.relu_(torch.addmm(constant, F.relu_(mixed), self.head))


def _fuse_offset_convs(conv: DeformableConv2d) -> Convolution:
    """Return one convolution for offsets and modulation: all taps' dy, all dx, all modulators, padding."""
    offset, modulator = conv.offset_conv, conv.modulator_conv
    assert offset.bias is not None  # noqa: S101  # for the type checker
    assert modulator.bias is not None  # noqa: S101
    weight = torch.cat((offset.weight[0::2], offset.weight[1::2], modulator.weight))
    bias = torch.cat((offset.bias[0::2], offset.bias[1::2], modulator.bias))
    missing = -len(bias) % CHANNEL_ALIGNMENT
    return Convolution(F.pad(weight, (0, 0, 0, 0, 0, 0, 0, missing)), F.pad(bias, (0, missing)))


def _to_matrix(branch: plain.AsppBranch) -> tuple[nn.Parameter, nn.Parameter]:
    """Return a branch's convolution with its batch norm as a matrix, (taps x 64, 256), and a bias."""
    conv = fold_batchnorm(branch.atrous_conv.regular_conv, branch.bn)
    return frozen_parameter(conv.weight.permute(2, 3, 1, 0).flatten(0, 2)), frozen_parameter(conv.bias)
