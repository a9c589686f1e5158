"""The machine's own rate of matrix products: the two kinds that BiRefNet is made of, at its sizes."""

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

LINEAR = (4096, 768, 3072)  # rows, channels in, channels out: the MLP of a Swin block
CONV = (480, 64, 256)  # channels in, channels out, side: the widest of the decoder's
# A GPU does one in some microseconds, less than a launch takes.
PRODUCTS_A_SAMPLE = {"cpu": 1, "cuda": 50}

Product = tuple[Callable[[], Tensor], float]  # and its multiplications and additions


def products(device: torch.device, dtype: torch.dtype) -> dict[str, Product]:
    """Return what is timed, by name."""
    rows, inner, outer = LINEAR
    into, out, side = CONV
    shapes = ((rows, inner), (outer, inner), (1, into, side, side), (out, into, 3, 3))
    x, weight, *maps = (torch.randn(shape, device=device, dtype=dtype) for shape in shapes)
    image, kernel = (each.contiguous(memory_format=torch.channels_last) for each in maps)
    return {
        "linear": (lambda: F.linear(x, weight), 2.0 * rows * inner * outer),
        "convolution": (lambda: F.conv2d(image, kernel, padding=1), 2.0 * 9 * into * out * side**2),
    }


def rate(product: Product, device: torch.device) -> float:
    """Do a product some times and return how many operations a second that was."""
    work, operations = product
    count = PRODUCTS_A_SAMPLE.get(device.type, 1)
    synchronize(device)
    start = time.perf_counter()
    for _ in range(count):
        work()
    synchronize(device)
    return operations * count / (time.perf_counter() - start)


def synchronize(device: torch.device) -> None:
    """Wait until a device has done all that it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
