"""Reports the progress of a forward pass by hooks, in proportion to the arithmetic of each block."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from typing import cast

from torch import nn

from worker.birefnet.blocks import BRANCH, INNER
from worker.birefnet.fused import FusedBiRefNet
from worker.birefnet.fused.fused_decoder import BasicDecBlk
from worker.birefnet.fused.fused_swin import SwinBlock

DEFORMABLE_TAPS = 1 + 1 + 9 + 49  # of the four ASPP branches


@contextmanager
def progress_hooks(network: nn.Module, on_progress: Callable[[float], None]) -> Iterator[None]:
    """Call `on_progress` with the share of a forward pass that is done, 0 to 1, after each block.

    An exception of `on_progress` ends the pass. Other networks than FusedBiRefNet get no hooks.
    """
    if not isinstance(network, FusedBiRefNet):
        yield
        return
    done = list(accumulate(_estimate_costs(network)))
    shares = iter([cost / done[-1] for cost in done])
    blocks = [block for block in network.modules() if isinstance(block, SwinBlock | BasicDecBlk)]
    hooks = [block.register_forward_hook(lambda *_: on_progress(next(shares))) for block in blocks]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _estimate_costs(network: FusedBiRefNet) -> Iterator[float]:
    """Yield the multiplications of each block per image pixel, in execution order."""
    for number, stage in enumerate(network.bb.stages):
        tokens = 1.25 / 16 / 4**number  # of the full and the half-size image
        for block in cast("Iterable[SwinBlock]", stage.children()):
            channels = block.norm1.normalized_shape[0]
            yield tokens * channels * (12 * channels + 2 * block.window**2)
    for block, stride in zip((network.squeeze, *network.decoder.steps), (32, 32, 16, 8, 4), strict=True):
        channels = sum(conv.in_channels for conv in block.convs_in) + block.conv_out.out_channels
        yield (9 * INNER * channels + DEFORMABLE_TAPS * INNER * BRANCH) / stride**2
