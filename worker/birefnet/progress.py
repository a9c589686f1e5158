"""How far a forward pass has come, by the arithmetic that its blocks have done."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate

from torch import nn

from worker.birefnet.blocks import BRANCH, INNER, BasicDecBlk
from worker.birefnet.model import BiRefNet
from worker.birefnet.swin import SwinBlock, SwinTransformer

DEFORMABLE_TAPS = 1 + 1 + 9 + 49  # of the four branches


@contextmanager
def watched(network: nn.Module, height: int, width: int, step: Callable[[float], None]) -> Iterator[None]:
    """Tell `step` the share of the work done, 0 to 1, after each block of a pass over (height, width).

    What `step` raises ends the pass. A network of another kind is not watched.
    """
    if not isinstance(network, BiRefNet):
        yield
        return
    done = list(accumulate(_costs(network, height, width)))
    shares = iter([cost / done[-1] for cost in done])
    blocks = [block for block in network.modules() if isinstance(block, SwinBlock | BasicDecBlk)]
    hooks = [block.register_forward_hook(lambda *_: step(next(shares))) for block in blocks]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _costs(network: BiRefNet, height: int, width: int) -> Iterator[float]:
    """Yield the multiplications of each block of a pass, in the order of their running."""
    yield from _backbone_costs(network.bb, height * width)
    yield from _backbone_costs(network.bb, height * width / 4)
    decoder = network.decoder
    ups = (decoder.decoder_block4, decoder.decoder_block3, decoder.decoder_block2, decoder.decoder_block1)
    squeeze = network.squeeze_module[0]
    for block, stride in zip((squeeze, *ups), (32, 32, 16, 8, 4), strict=True):
        if isinstance(block, BasicDecBlk):
            around = 9 * INNER * (block.conv_in.in_channels + block.conv_out.out_channels)
            yield height * width / stride**2 * (around + DEFORMABLE_TAPS * INNER * BRANCH)


def _backbone_costs(backbone: SwinTransformer, pixels: float) -> Iterator[float]:
    for number, stage in enumerate(backbone.layers):
        tokens = pixels / 16 / 4**number
        for block in stage.modules():
            if isinstance(block, SwinBlock):
                channels = block.norm1.normalized_shape[0]
                yield tokens * channels * (12 * channels + 2 * block.window**2)
