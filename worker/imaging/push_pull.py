"""Push-pull pyramid: a weighted mean around each pixel, as local as its weights allow.

Pushing halves the planes to ever coarser means; pulling fills in, from the coarsest level on, what the finer
ones have too little weight for.

Source: Gortler et al., "The Lumigraph", SIGGRAPH 1996.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]

# The weight of a pyramid's coarser level: a level with this share of opaque pixels counts the same.
_COARSE_WEIGHT = 0.03
# Less than any sum of weights: makes 0 / 0 a 0, and changes no mean.
EPSILON = 1e-37


def compute_push_pull_mean(samples: Floats, weights: Floats) -> Floats:
    """Return the weighted mean colour around each cell, (3, h / 2, w / 2), of `samples`, (3, h, w).

    A cell has 2 x 2 samples. The mean extends as far as it takes for the `weights`, (h, w), to add up. They
    are normalised by their maximum, since the network may be certain of no pixel.
    """
    sums = np.empty((4, *weights.shape), np.float32)
    np.divide(weights, max(float(weights.max()), EPSILON), out=sums[3])
    np.multiply(samples, sums[3], out=sums[:3])
    levels = [_downsample(sums)]
    while max(levels[-1].shape[1:]) > 1:
        levels.append(_downsample(levels[-1]))
    colours: Floats = levels[-1][:3] / (levels[-1][3] + np.float32(EPSILON))
    for level in levels[-2::-1]:
        height, width = level.shape[1:]
        coarse = _upsample(colours)[:, :height, :width]
        blurred = sum_boxes(np.pad(level, ((0, 0), (1, 1), (1, 1))), 1)
        blurred *= np.float32(1 / 9)
        colours = blurred[:3] + np.float32(_COARSE_WEIGHT) * coarse
        colours /= blurred[3] + np.float32(_COARSE_WEIGHT)
    return colours


def _downsample(planes: Floats) -> Floats:
    """Return (c, h, w) planes at half the size, rounded up: means of 2 x 2 values, 0 outside the planes."""
    _, height, width = planes.shape
    even = planes
    if height % 2 or width % 2:  # np.pad always copies
        even = np.pad(planes, ((0, 0), (0, height % 2), (0, width % 2)))
    rows = even[:, 0::2] + even[:, 1::2]
    downsampled: Floats = (rows[..., 0::2] + rows[..., 1::2]) * np.float32(0.25)
    return downsampled


def _upsample(planes: Floats) -> Floats:
    """Return (c, h, w) planes at twice the size, by bilinear interpolation."""
    _, height, width = planes.shape
    return np.stack(
        [
            np.asarray(Image.fromarray(plane).resize((2 * width, 2 * height), Image.Resampling.BILINEAR))
            for plane in planes
        ]
    )


def sum_boxes(planes: Floats, radius: int) -> Floats:
    """Return the box sums, (2 radius + 1) squared values each, of (..., h, w) planes, without the border."""
    height, width = planes.shape[-2:]
    rows = planes[..., : height - 2 * radius, :].copy()
    for down in range(1, 2 * radius + 1):
        rows += planes[..., down : height - 2 * radius + down, :]
    sums = rows[..., : width - 2 * radius].copy()
    for across in range(1, 2 * radius + 1):
        sums += rows[..., across : width - 2 * radius + across]
    return sums
