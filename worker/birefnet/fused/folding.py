"""Folds consecutive linear operations into one; exact in real arithmetic."""

import torch
from torch import Tensor, nn


class Convolution(nn.Conv2d):
    """A convolution with a bias and "same" padding, without gradients."""

    weight: nn.Parameter
    bias: nn.Parameter

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        channels_out, channels_in, kernel, _ = weight.shape
        super().__init__(channels_in, channels_out, kernel, padding=kernel // 2, device="meta")
        # Convolutions on CPUs and tensor cores are fastest with channels last.
        self.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last), requires_grad=False)
        self.bias = frozen_parameter(bias)


def fold_batchnorm(conv: nn.Module, norm: nn.Module) -> Convolution:
    """Return one convolution equal to `conv` followed by the batch norm `norm` in evaluation mode."""
    if not isinstance(conv, nn.Conv2d) or not isinstance(norm, nn.BatchNorm2d):
        raise TypeError(f"expected a Conv2d and a BatchNorm2d, found {conv} and {norm}")
    if norm.running_mean is None or norm.running_var is None:
        raise TypeError(f"expected a batch norm with running statistics, found {norm}")
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    bias = torch.zeros_like(norm.running_mean) if conv.bias is None else conv.bias
    return Convolution(
        conv.weight * scale[:, None, None, None], (bias - norm.running_mean) * scale + norm.bias
    )


def as_conv(conv: nn.Conv2d) -> Convolution:
    """Return a `Convolution` equal to `conv`."""
    return Convolution(conv.weight, torch.zeros(conv.out_channels) if conv.bias is None else conv.bias)


def fold_projection(conv: nn.Conv2d, matrix: Tensor) -> Convolution:
    """Return one convolution equal to `conv` followed by a projection, (C, C_out), of its channels."""
    bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias
    return Convolution(torch.einsum("co,oikl->cikl", matrix, conv.weight), matrix @ bias)


def frozen_parameter(tensor: Tensor) -> nn.Parameter:
    """Return a parameter without gradients."""
    return nn.Parameter(tensor.contiguous(), requires_grad=False)
