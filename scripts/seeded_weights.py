"""Deterministic, non-degenerate random weights for any BiRefNet state dict.

For comparing two implementations without the trained checkpoint: every tensor is drawn from a generator keyed
by its name and loaded into both. The golden files in tests/data were made with these weights and the authors'
implementation.

`relative_position_index` (int buffer) and `num_batches_tracked` are not drawn: they follow from the shapes.
"""

import zlib

import numpy as np
from numpy.typing import NDArray

NOT_DRAWN = ("relative_position_index", "num_batches_tracked")


def seeded_tensor(name: str, shape: tuple[int, ...], seed: int = 0) -> NDArray[np.float32]:
    """Return the float32 tensor of this name, the same on every machine."""
    rng = np.random.Generator(np.random.Philox(key=[zlib.crc32(name.encode()), seed]))
    noise = rng.standard_normal(shape, dtype=np.float32)
    leaf = name.rsplit(".", 1)[-1]
    if leaf == "running_var":
        return np.float32(0.5) + rng.random(shape, dtype=np.float32)
    if leaf == "running_mean":
        return np.float32(0.1) * noise
    if leaf == "relative_position_bias_table":
        return np.float32(0.5) * noise
    if leaf == "bias":
        return np.float32(0.05) * noise
    if leaf == "weight" and len(shape) == 1:  # LayerNorm, BatchNorm
        return np.float32(1.0) + np.float32(0.1) * noise
    fan_in = int(np.prod(shape[1:]))
    return noise * np.float32(np.sqrt(1.0 / fan_in))


def seeded_state(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Return the tensors of a state dict by name, given their shapes."""
    return {
        name: np.ascontiguousarray(seeded_tensor(name, tuple(shape), seed), dtype=np.float32)
        for name, shape in shapes.items()
        if not name.endswith(NOT_DRAWN)
    }


def seeded_image(height: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    """Return a float32 network input of shape (1, 3, height, width), of zero mean, sides multiples of 16."""
    rng = np.random.Generator(np.random.Philox(key=[height * 100_003 + width, seed]))
    coarse = rng.standard_normal((1, 3, height // 16, width // 16), dtype=np.float32)
    fine = rng.standard_normal((1, 3, height, width), dtype=np.float32)
    return coarse.repeat(16, axis=2).repeat(16, axis=3) + np.float32(0.25) * fine
