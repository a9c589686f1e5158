"""Foreground estimation: the subject's own colour where the matte is soft, so that cut-outs have no halo.

A pixel is I = a F + (1 - a) B: keeping I in the cut-out keeps the background's share of it. F is estimated by
blur fusion: smooth estimates of F and B from the opaque and the transparent pixels around, corrected by the
pixel itself, F + a (I - a F - (1 - a) B); then once more with the mean of those F over a few pixels.

The first estimate differs from the paper's mean over 90 pixels, since a soft edge may be wider than that
(networks see large images reduced), or have the right colour much nearer. It comes from a push-pull pyramid:
each pixel gets the finest mean that has enough opaque (or transparent) pixels in it. A steep weight keeps
mixed pixels out of the mean.

Source: Forte, "Approximate Fast Foreground Colour Estimation", ICIP 2021 (blur fusion).
"""

from collections.abc import Iterator
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worker.imaging.geometry import Pixels
from worker.imaging.push_pull import EPSILON, Floats, compute_push_pull_mean, sum_boxes

Tile = tuple[slice, slice]  # rows, columns
Patch = tuple[Image.Image, tuple[int, int], Image.Image]  # colours, upper left corner, mask

# Alpha this close to 0 or 255 is not soft: a wrong colour changes the composite by no more than these levels.
MAX_NEGLIGIBLE = 2
# The estimates sample every `step`-th pixel: 1 in 16 of a 12-megapixel image's, as many of a larger one's.
_MIN_STEP, _MAX_SAMPLES = 4, 1024
# The exponent of a pixel's weight: at alpha 230 of 255 it is a fifth of an opaque pixel's.
_WEIGHT_EXPONENT = 16
ALPHA_WEIGHTS: Floats = ((np.arange(256, dtype=np.float32) / 255) ** _WEIGHT_EXPONENT).astype(np.float32)
_BLUR_RADIUS = 2
_INSIDE = (..., slice(_BLUR_RADIUS, -_BLUR_RADIUS), slice(_BLUR_RADIUS, -_BLUR_RADIUS))
# Small enough for a core's cache, large enough to make NumPy's call overhead negligible.
_TILE_ROWS, _TILE_COLUMNS = 128, 256


def estimate_foreground(image: Image.Image, alpha: Pixels) -> Image.Image:
    """Give the RGB image the subject's own colour where `alpha`, (H, W), is soft: in place, and return it.

    Single-threaded: NumPy's calls on a tile are too short for threads to gain anything, and larger tiles do
    not fit the cache.
    """
    tiles = list(_find_soft_tiles(alpha))
    if not tiles:
        return image
    priors = ColourPriors(image, alpha)
    previous: list[Patch] = []
    for _, band in groupby(tiles, key=lambda tile: tile[0].start // _TILE_ROWS):
        patches = [_correct_tile(image, alpha, priors, tile) for tile in band]
        _paste(image, previous)  # only now: the band below reads the rows at its border
        previous = patches
    _paste(image, previous)
    return image


def _correct_tile(image: Image.Image, alpha: Pixels, priors: "ColourPriors", tile: Tile) -> Patch:
    down, across = tile
    soft = Image.fromarray(_mark_soft(alpha[tile]).view(np.uint8) * 255)
    return _estimate_tile(image, alpha, priors, tile), (across.start, down.start), soft


def _paste(image: Image.Image, patches: list[Patch]) -> None:
    for colours, corner, soft in patches:
        image.paste(colours, corner, soft)


class ColourPriors:
    """Smooth first estimates of the foreground and background colours: low-resolution, enlarged by tile."""

    def __init__(self, image: Image.Image, alpha: Pixels) -> None:
        step = max(_MIN_STEP, -(-max(alpha.shape) // _MAX_SAMPLES))
        down, across = (slice(min(step // 2, side - 1), None, step) for side in alpha.shape)
        opacity = alpha[down, across]
        to_image = (step, 0, across.start + 0.5 - step / 2, 0, step, down.start + 0.5 - step / 2)
        samples = image.transform(opacity.shape[::-1], Image.Transform.AFFINE, to_image)
        planes = _to_planes(samples)
        self._cell = 2 * step
        self._foreground = compute_push_pull_mean(planes, ALPHA_WEIGHTS[opacity])
        self._background = compute_push_pull_mean(planes, ALPHA_WEIGHTS[255 - opacity])

    def enlarge(self, tile: Tile) -> tuple[Floats, Floats]:
        """Return the foreground and background colours, (3, h, w), in `tile` and `_BLUR_RADIUS` around it."""
        down, across = (_to_cell_positions(side, self._cell) for side in tile)
        rows = slice(max(int(down[0]), 0), int(down[-1]) + 2)
        # Columns first, while there are few rows.
        return (
            _interpolate(_interpolate(self._foreground[:, rows], across, 2), down - rows.start, 1),
            _interpolate(_interpolate(self._background[:, rows], across, 2), down - rows.start, 1),
        )


def _estimate_tile(image: Image.Image, alpha: Pixels, priors: ColourPriors, tile: Tile) -> Image.Image:
    """Return the foreground colour of every pixel in `tile`.

    Both passes compute F' = F + a (I - a F - (1 - a) B), here as (1 - a^2) F + a (I - (1 - a) B).
    """
    down, across = tile
    left, top, right, bottom = across.start, down.start, across.stop, down.stop
    radius = _BLUR_RADIUS
    opacity = _crop_padded(alpha, tile).astype(np.float32)
    opacity *= np.float32(1 / 255)
    weight = opacity * opacity
    prior_weight = 1 - weight
    foreground, background = priors.enlarge(tile)
    # a (I - (1 - a) B): the pixel without the background's share.
    residual = _to_planes(image.crop((left - radius, top - radius, right + radius, bottom + radius)))
    background *= opacity - 1
    residual += background
    residual *= opacity
    foreground *= prior_weight
    foreground += residual
    np.clip(foreground, 0, 255, out=foreground)
    blurred, weights = _sum_weighted_boxes(foreground, weight, radius)
    blurred *= prior_weight[_INSIDE] / (weights + np.float32(EPSILON))
    blurred += residual[_INSIDE]
    blurred += np.float32(0.5)
    colour = np.clip(blurred, 0, 255, out=blurred).astype(np.uint8)
    return Image.merge("RGB", [Image.fromarray(plane) for plane in colour])


def _mark_soft(alpha: Pixels) -> NDArray[np.bool_]:
    """Return which pixels mix the subject and the background."""
    # Unsigned arithmetic: values that are too low wrap around to the top.
    return alpha - np.uint8(MAX_NEGLIGIBLE + 1) < 255 - 2 * MAX_NEGLIGIBLE - 1


def _find_soft_tiles(alpha: Pixels) -> Iterator[Tile]:
    """Yield tiles that cover all soft pixels, and few others."""
    height, width = alpha.shape
    for top in range(0, height, _TILE_ROWS):
        band = _mark_soft(alpha[top : top + _TILE_ROWS])
        for left in range(0, width, _TILE_COLUMNS):
            soft = band[:, left : left + _TILE_COLUMNS]
            down, across = np.flatnonzero(soft.any(axis=1)), np.flatnonzero(soft.any(axis=0))
            if down.size:
                yield (
                    slice(top + int(down[0]), top + int(down[-1]) + 1),
                    slice(left + int(across[0]), left + int(across[-1]) + 1),
                )


def _to_planes(image: Image.Image) -> Floats:
    """Return an RGB image as (3, h, w)."""
    return np.asarray(image).transpose(2, 0, 1).astype(np.float32, order="C")


def _crop_padded(alpha: Pixels, tile: Tile) -> Pixels:
    """Return `alpha` in `tile` and `_BLUR_RADIUS` pixels around it, 0 outside the image."""
    inside, missing = [], []
    for side, size in zip(tile, alpha.shape, strict=True):
        start, stop = side.start - _BLUR_RADIUS, side.stop + _BLUR_RADIUS
        inside.append(slice(max(start, 0), stop))
        missing.append((max(-start, 0), max(stop - size, 0)))
    crop = alpha[tuple(inside)]
    return np.pad(crop, missing) if any(map(any, missing)) else crop


def _to_cell_positions(side: slice, cell: int) -> Floats:
    """Return the positions of the pixels of `side`, and `_BLUR_RADIUS` around it, in units of cells."""
    pixels = np.arange(side.start - _BLUR_RADIUS, side.stop + _BLUR_RADIUS, dtype=np.float32)
    centre = np.float32(0.5)
    positions: Floats = (pixels + centre) / np.float32(cell) - centre
    return positions


def _interpolate(cells: Floats, positions: Floats, axis: int) -> Floats:
    """Return the linear interpolation of (c, h, w) planes at `positions` along an axis."""
    last = cells.shape[axis] - 1
    inside = np.clip(positions, 0, last)
    before = inside.astype(np.intp)
    share = (inside - before).reshape((-1, 1) if axis == 1 else (1, -1))
    values = cells.take(before, axis)
    change = cells.take(np.minimum(before + 1, last), axis)
    change -= values
    change *= share
    values += change
    return values


def _sum_weighted_boxes(planes: Floats, weight: Floats, radius: int) -> tuple[Floats, Floats]:
    """Return the box sums of (3, h, w) planes times a weight, (h, w), and of the weight."""
    weighted = np.empty((4, *weight.shape), np.float32)
    np.multiply(planes, weight, out=weighted[:3])
    weighted[3] = weight
    sums = sum_boxes(weighted, radius)
    return sums[:3], sums[3]
