"""The fused form: the same function in fewer steps, derived once from the plain network.

Every change here is exact in real arithmetic; `docs/performance.md` keeps what each of them gains.
"""

from typing import cast

import torch
from torch import Tensor, nn

from worker.birefnet.blocks import AsppDeformable, BasicDecBlk
from worker.birefnet.decoder import Decoder
from worker.birefnet.model import BiRefNet


def fuse(network: BiRefNet) -> None:
    """Change a plain network in evaluation mode into its fused form, in place."""
    for block in network.modules():
        if isinstance(block, AsppDeformable):
            _fuse_aspp(block)
        elif isinstance(block, BasicDecBlk):
            block.conv_in, block.bn_in = _absorbed(block.conv_in, block.bn_in)
            block.conv_out, block.bn_out = _absorbed(block.conv_out, block.bn_out)
    _fuse_decoder(network.decoder)


def _fuse_aspp(aspp: AsppDeformable) -> None:
    for branch in (aspp.aspp1, *aspp.aspp_deforms):
        conv = branch.atrous_conv
        conv.regular_conv, branch.bn = _absorbed(conv.regular_conv, branch.bn)
    _absorb(aspp.global_avg_pool, 1)
    aspp.conv1, aspp.bn1 = _absorbed(aspp.conv1, aspp.bn1)


def _fuse_decoder(decoder: Decoder) -> None:
    for step in (4, 3, 2):
        _absorb(cast("nn.Sequential", decoder.get_submodule(f"gdt_convs_{step}")), 0)
    # Nothing non-linear lies between these convolutions and the logit, and resizing commutes with a sum
    # over channels: so one channel is resized to full size, in place of c3/2, and added to one of the image.
    head = cast("nn.Conv2d", decoder.conv_out1[0])
    deep = decoder.decoder_block1.conv_out.out_channels
    decoder.decoder_block1.conv_out = _projected(decoder.decoder_block1.conv_out, head.weight[:, :deep])
    decoder.ipt_blk1.conv_out = _projected(decoder.ipt_blk1.conv_out, head.weight[:, deep:])
    total = nn.Conv2d(2, 1, 1)
    total.weight, total.bias = _fixed(torch.ones(1, 2, 1, 1)), _fixed(cast("Tensor", head.bias))
    decoder.conv_out1[0] = total


def _absorb(convs: nn.Sequential, at: int) -> None:
    convs[at], convs[at + 1] = _absorbed(cast("nn.Conv2d", convs[at]), convs[at + 1])


def _absorbed(conv: nn.Conv2d, norm: nn.Module) -> tuple[nn.Conv2d, nn.Module]:
    """Return a convolution that does what `conv` and `norm` (BatchNorm) did, and nothing for the norm."""
    if not isinstance(norm, nn.BatchNorm2d) or norm.running_mean is None or norm.running_var is None:
        raise TypeError(f"expected a BatchNorm2d with its statistics, found {norm}")
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    bias = torch.zeros_like(norm.running_mean) if conv.bias is None else conv.bias
    conv.weight = _fixed(conv.weight * scale[:, None, None, None])
    conv.bias = _fixed((bias - norm.running_mean) * scale + norm.bias)
    return conv, nn.Identity()


def _projected(conv: nn.Conv2d, weight: Tensor) -> nn.Conv2d:
    """Return the convolution that does `conv`, then the 1 x 1 convolution `weight`, (1, C_out, 1, 1)."""
    vector = weight.flatten()
    kernel = conv.kernel_size[0]
    one = nn.Conv2d(conv.in_channels, 1, kernel, padding=kernel // 2)
    one.weight = _fixed(torch.einsum("o,oikl->ikl", vector, conv.weight)[None])
    one.bias = _fixed((vector @ conv.bias)[None]) if conv.bias is not None else _fixed(torch.zeros(1))
    return one


def _fixed(tensor: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor, requires_grad=False)
