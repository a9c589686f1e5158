"""How far a forward pass has come, by the arithmetic that its blocks have done."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from typing import cast

from torch import nn

from worker.birefnet.blocks import BRANCH, INNER
from worker.birefnet.fused import FusedBiRefNet
from worker.birefnet.fused.fused_decoder import BasicDecBlk
from worker.birefnet.fused.fused_swin import SwinBlock

DEFORMABLE_TAPS = 1 + 1 + 9 + 49  # of the four branches


@contextmanager
def watched(network: nn.Module, step: Callable[[float], None]) -> Iterator[None]:
    """Tell `step` the share of the work done, 0 to 1, after each block of a pass.

    What `step` raises ends the pass. A network of another kind is not watched.
    """
    if not isinstance(network, FusedBiRefNet):
        yield
        return
    done = list(accumulate(_costs(network)))
    shares = iter([cost / done[-1] for cost in done])
    blocks = [block for block in network.modules() if isinstance(block, SwinBlock | BasicDecBlk)]
    hooks = [block.register_forward_hook(lambda *_: step(next(shares))) for block in blocks]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _costs(network: FusedBiRefNet) -> Iterator[float]:
    """Yield the multiplications of each block, for each pixel of the image, in the order of their running."""
    for number, stage in enumerate(network.bb.stages):
        tokens = 1.25 / 16 / 4**number  # of the full and the half-size image
        for block in cast("Iterable[SwinBlock]", stage.children()):
            channels = block.norm1.normalized_shape[0]
            yield tokens * channels * (12 * channels + 2 * block.window**2)
    for block, stride in zip((network.squeeze, *network.decoder.steps), (32, 32, 16, 8, 4), strict=True):
        channels = sum(conv.in_channels for conv in block.convs_in) + block.conv_out.out_channels
        yield (9 * INNER * channels + DEFORMABLE_TAPS * INNER * BRANCH) / stride**2
