"""Folding linear steps into each other; every one of these is exact in real arithmetic."""

import torch
from torch import Tensor, nn


class Convolution(nn.Conv2d):
    """A convolution that has a bias, and keeps a map's size."""

    weight: nn.Parameter
    bias: nn.Parameter

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        channels_out, channels_in, kernel, _ = weight.shape
        super().__init__(channels_in, channels_out, kernel, padding=kernel // 2, device="meta")
        # Channels last is what convolutions on both CPUs and tensor cores want.
        self.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last), requires_grad=False)
        self.bias = fixed(bias)


def absorbed(conv: nn.Module, norm: nn.Module) -> Convolution:
    """Return one convolution that does what `conv` and then `norm` (BatchNorm) do."""
    if not isinstance(conv, nn.Conv2d) or not isinstance(norm, nn.BatchNorm2d):
        raise TypeError(f"expected a Conv2d and a BatchNorm2d, found {conv} and {norm}")
    if norm.running_mean is None or norm.running_var is None:
        raise TypeError(f"expected a norm with its statistics, found {norm}")
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    bias = torch.zeros_like(norm.running_mean) if conv.bias is None else conv.bias
    return Convolution(
        conv.weight * scale[:, None, None, None], (bias - norm.running_mean) * scale + norm.bias
    )


def kept(conv: nn.Conv2d) -> Convolution:
    """Return a convolution that does what `conv` does."""
    return Convolution(conv.weight, torch.zeros(conv.out_channels) if conv.bias is None else conv.bias)


def projected(conv: nn.Conv2d, matrix: Tensor) -> Convolution:
    """Return one convolution that does what `conv` and then the matrix (C, C_out) over its channels do."""
    bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias
    return Convolution(torch.einsum("co,oikl->cikl", matrix, conv.weight), matrix @ bias)


def fixed(tensor: Tensor) -> nn.Parameter:
    """Return a parameter that is not trained."""
    return nn.Parameter(tensor.contiguous(), requires_grad=False)
