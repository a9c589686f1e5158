"""Matrix-multiply rate of the machine: the two kinds of product in BiRefNet, at its sizes."""

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

LINEAR = (4096, 768, 3072)  # rows, input channels, output channels: the MLP of a Swin block
CONV = (480, 64, 256)  # input channels, output channels, side: the decoder's widest convolution
# A GPU computes one in microseconds, less than a kernel launch takes.
PRODUCTS_PER_SAMPLE = {"cpu": 1, "cuda": 50}

Product = tuple[Callable[[], Tensor], float]  # and its floating-point operations


def products(device: torch.device, dtype: torch.dtype) -> dict[str, Product]:
    """Return the products to time, by name."""
    rows, inner, outer = LINEAR
    into, out, side = CONV
    shapes = ((rows, inner), (outer, inner), (1, into, side, side), (out, into, 3, 3))
    x, weight, *maps = (torch.randn(shape, device=device, dtype=dtype) for shape in shapes)
    image, kernel = (each.contiguous(memory_format=torch.channels_last) for each in maps)
    return {
        "linear": (lambda: F.linear(x, weight), 2.0 * rows * inner * outer),
        "convolution": (lambda: F.conv2d(image, kernel, padding=1), 2.0 * 9 * into * out * side**2),
    }


def measure_rate(product: Product, device: torch.device) -> float:
    """Compute a product repeatedly and return the rate in FLOP/s."""
    work, operations = product
    count = PRODUCTS_PER_SAMPLE.get(device.type, 1)
    synchronize(device)
    start = time.perf_counter()
    for _ in range(count):
        work()
    synchronize(device)
    return operations * count / (time.perf_counter() - start)


def synchronize(device: torch.device) -> None:
    """Wait until a GPU has finished all queued work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
