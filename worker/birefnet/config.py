"""The Swin v1 backbones of the BiRefNet family, and their detection from a checkpoint's tensor shapes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from shared.errors import ModelUnfit

FIRST_TENSOR = "bb.patch_embed.proj.weight"
FIRST_TABLE = "bb.layers.0.blocks.0.attn.relative_position_bias_table"


@dataclass(frozen=True, slots=True)
class Backbone:
    """A Swin Transformer v1: channels of the first stage, blocks and heads per stage, window side."""

    name: str
    embed_dim: int
    depths: tuple[int, int, int, int]
    heads: tuple[int, int, int, int]
    window: int

    @property
    def channels(self) -> tuple[int, int, int, int]:
        """Channels of the four outputs, at strides 4, 8, 16 and 32."""
        c = self.embed_dim
        return c, 2 * c, 4 * c, 8 * c


BACKBONES = (
    Backbone("swin_v1_t", 96, (2, 2, 6, 2), (3, 6, 12, 24), 7),
    Backbone("swin_v1_s", 96, (2, 2, 18, 2), (3, 6, 12, 24), 7),
    Backbone("swin_v1_b", 128, (2, 2, 18, 2), (4, 8, 16, 32), 12),
    Backbone("swin_v1_l", 192, (2, 2, 18, 2), (6, 12, 24, 48), 12),
)


def find_backbone(name: str) -> Backbone:
    """Return the backbone called `name`. Raises KeyError."""
    return {backbone.name: backbone for backbone in BACKBONES}[name]


def detect_backbone(shapes: Mapping[str, tuple[int, ...]]) -> Backbone:
    """Return the backbone of a checkpoint, given its tensors' shapes by name. Raises ModelUnfit."""
    for name, dimensions in ((FIRST_TENSOR, 4), (FIRST_TABLE, 2)):
        if len(shapes.get(name, ())) != dimensions:
            raise ModelUnfit(
                "The checkpoint is not a BiRefNet with a Swin v1 backbone: "
                f"it has no {dimensions}-dimensional tensor {name}."
            )
    embed_dim, table_rows = shapes[FIRST_TENSOR][0], shapes[FIRST_TABLE][0]
    window = (math.isqrt(table_rows) + 1) // 2
    depth = len({name.split(".")[4] for name in shapes if name.startswith("bb.layers.2.blocks.")})
    for backbone in BACKBONES:
        if (backbone.embed_dim, backbone.window, backbone.depths[2]) == (embed_dim, window, depth):
            return backbone
    raise ModelUnfit(f"No known network has {embed_dim} channels, windows of {window} and {depth} blocks.")
