"""The subject's own colour where the alpha is soft, so that cut-outs have no halo of the old background.

A photo's pixel is I = a F + (1 - a) B: keeping I in the cut-out keeps B's share of it. F is estimated by
blur fusion: smooth guesses of F and B from the opaque and the clear pixels around, then what the pixel itself
says, F + a (I - a F - (1 - a) B); and once more with the mean of those F over a few pixels as the guess.

The first guess differs from the paper's mean over 90 pixels: a soft edge may be wider than that (networks see
large photos small), or have the right colour much nearer. It is a pyramid's: each pixel gets the finest mean
that opaque pixels (or clear ones) have a say in. And a steep weight keeps mixed pixels out of that mean.

Sources: Forte, "Approximate Fast Foreground Colour Estimation", ICIP 2021; the pyramid is push-pull: Gortler
et al., "The Lumigraph", SIGGRAPH 1996.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worker.imaging.geometry import Pixels

Floats = NDArray[np.float32]
Tile = tuple[slice, slice]  # rows, columns

# At most this many levels from clear or opaque, a wrong colour shows by no more than these levels: not soft.
UNSEEN = 2
# The guesses come from every `step`-th pixel: a 12-megapixel photo's from 1 in 16, larger ones' from as many.
_MIN_STEP, _MAX_SAMPLES = 4, 1024
# How steeply a pixel's say falls with its alpha: at 230 of 255 it is a fifth of an opaque pixel's.
_STEEPNESS = 16
_SAY: Floats = ((np.arange(256, dtype=np.float32) / 255) ** _STEEPNESS).astype(np.float32)
# The share of opaque pixels at which a level of the pyramid and the coarser one count the same.
_TRUSTED_SHARE = 0.03
# Less than any sum of says: divides nothing by nothing, and changes no mean.
_LEAST = 1e-37
_NEAR_RADIUS = 2
_INSIDE = (..., slice(_NEAR_RADIUS, -_NEAR_RADIUS), slice(_NEAR_RADIUS, -_NEAR_RADIUS))
# Small enough for a core's cache, large enough that NumPy's calls don't count.
_TILE_ROWS, _TILE_COLUMNS = 128, 256


def decontaminated(photo: Image.Image, alpha: Pixels) -> Image.Image:
    """Return the RGB `photo` with the subject's own colour where `alpha`, (H, W), is soft.

    The same image comes back if nothing is soft. Works on one thread: NumPy's calls on a tile are too short
    for several to gain anything, and on larger tiles they leave the cache.
    """
    tiles = list(_soft_tiles(alpha))
    if not tiles:
        return photo
    guesses = _Guesses(photo, alpha)
    corrected = photo.copy()
    for tile in tiles:
        down, across = tile
        soft = Image.fromarray(_soft(alpha[tile]).view(np.uint8) * 255)
        corrected.paste(_estimated(photo, alpha, guesses, tile), (across.start, down.start), soft)
    return corrected


class _Guesses:
    """The smooth guesses of a photo's subject and background: few cells, enlarged where asked for."""

    def __init__(self, photo: Image.Image, alpha: Pixels) -> None:
        step = max(_MIN_STEP, -(-max(alpha.shape) // _MAX_SAMPLES))
        down, across = (slice(min(step // 2, side - 1), None, step) for side in alpha.shape)
        opacity = alpha[down, across]
        to_photo = (step, 0, across.start + 0.5 - step / 2, 0, step, down.start + 0.5 - step / 2)
        samples = photo.transform(opacity.shape[::-1], Image.Transform.AFFINE, to_photo)
        planes = _planes(samples)
        self._cell = 2 * step
        self._subject = _spread(planes, _SAY[opacity])
        self._background = _spread(planes, _SAY[255 - opacity])

    def around(self, tile: Tile) -> tuple[Floats, Floats]:
        """Return the subject's and the background's colours, (3, h, w), in `tile` and a little around it."""
        down, across = (_places(side, self._cell) for side in tile)
        rows = slice(max(int(down[0]), 0), int(down[-1]) + 2)
        # Across first, while there are few rows.
        return (
            _interpolated(_interpolated(self._subject[:, rows], across, 2), down - rows.start, 1),
            _interpolated(_interpolated(self._background[:, rows], across, 2), down - rows.start, 1),
        )


def _estimated(photo: Image.Image, alpha: Pixels, guesses: _Guesses, tile: Tile) -> Image.Image:
    """Return the subject's colour in `tile` as if every pixel in it were soft.

    Both estimates are guess + a (I - a guess - (1 - a) B), here as (1 - a^2) guess + a (I - (1 - a) B).
    """
    down, across = tile
    left, top, right, bottom = across.start, down.start, across.stop, down.stop
    reach = _NEAR_RADIUS
    opacity = _around(alpha, tile).astype(np.float32)
    opacity *= np.float32(1 / 255)
    weight = opacity * opacity
    trust = 1 - weight
    subject, background = guesses.around(tile)
    # What is left of the pixel without the background's share.
    rest = _planes(photo.crop((left - reach, top - reach, right + reach, bottom + reach)))
    background *= opacity - 1
    rest += background
    rest *= opacity
    subject *= trust
    subject += rest
    np.clip(subject, 0, 255, out=subject)
    near, weights = _weighed_sums(subject, weight, reach)
    near *= trust[_INSIDE] / (weights + np.float32(_LEAST))
    near += rest[_INSIDE]
    near += np.float32(0.5)
    colour = np.clip(near, 0, 255, out=near).astype(np.uint8)
    return Image.merge("RGB", [Image.fromarray(plane) for plane in colour])


def _soft(alpha: Pixels) -> NDArray[np.bool_]:
    """Tell which pixels show both the subject and the background."""
    return alpha - np.uint8(UNSEEN + 1) < 255 - 2 * UNSEEN - 1  # unsigned: too low wraps around to the top


def _soft_tiles(alpha: Pixels) -> Iterator[Tile]:
    """Yield tiles that hold all soft pixels, and little else."""
    height, width = alpha.shape
    for top in range(0, height, _TILE_ROWS):
        band = _soft(alpha[top : top + _TILE_ROWS])
        for left in range(0, width, _TILE_COLUMNS):
            soft = band[:, left : left + _TILE_COLUMNS]
            down, across = np.flatnonzero(soft.any(axis=1)), np.flatnonzero(soft.any(axis=0))
            if down.size:
                yield (
                    slice(top + int(down[0]), top + int(down[-1]) + 1),
                    slice(left + int(across[0]), left + int(across[-1]) + 1),
                )


def _planes(image: Image.Image) -> Floats:
    """Return an RGB image as (3, h, w)."""
    return np.asarray(image).transpose(2, 0, 1).astype(np.float32, order="C")


def _around(alpha: Pixels, tile: Tile) -> Pixels:
    """Return `alpha` in `tile` and `_NEAR_RADIUS` pixels around it, 0 where that is outside the picture."""
    inside, missing = [], []
    for side, size in zip(tile, alpha.shape, strict=True):
        start, stop = side.start - _NEAR_RADIUS, side.stop + _NEAR_RADIUS
        inside.append(slice(max(start, 0), stop))
        missing.append((max(-start, 0), max(stop - size, 0)))
    found = alpha[tuple(inside)]
    return np.pad(found, missing) if any(map(any, missing)) else found


def _places(side: slice, cell: int) -> Floats:
    """Return where the pixels of `side`, and `_NEAR_RADIUS` around it, lie among the cells' middles."""
    pixels = np.arange(side.start - _NEAR_RADIUS, side.stop + _NEAR_RADIUS, dtype=np.float32)
    middle = np.float32(0.5)
    places: Floats = (pixels + middle) / np.float32(cell) - middle
    return places


def _interpolated(cells: Floats, places: Floats, axis: int) -> Floats:
    """Return the values of (c, h, w) planes at `places` along an axis, with straight lines between cells."""
    last = cells.shape[axis] - 1
    inside = np.clip(places, 0, last)
    before = inside.astype(np.intp)
    share = (inside - before).reshape((-1, 1) if axis == 1 else (1, -1))
    values = cells.take(before, axis)
    change = cells.take(np.minimum(before + 1, last), axis)
    change -= values
    change *= share
    values += change
    return values


def _weighed_sums(planes: Floats, weight: Floats, radius: int) -> tuple[Floats, Floats]:
    """Return what `_box_sum` makes of (3, h, w) planes times a weight, (h, w), and of the weight."""
    weighed = np.empty((4, *weight.shape), np.float32)
    np.multiply(planes, weight, out=weighed[:3])
    weighed[3] = weight
    sums = _box_sum(weighed, radius)
    return sums[:3], sums[3]


def _box_sum(planes: Floats, radius: int) -> Floats:
    """Return the sums of (2 radius + 1) squared values of (..., h, w) planes, where all of them are there."""
    height, width = planes.shape[-2:]
    rows = planes[..., : height - 2 * radius, :].copy()
    for down in range(1, 2 * radius + 1):
        rows += planes[..., down : height - 2 * radius + down, :]
    sums = rows[..., : width - 2 * radius].copy()
    for across in range(1, 2 * radius + 1):
        sums += rows[..., across : width - 2 * radius + across]
    return sums


def _spread(samples: Floats, say: Floats) -> Floats:
    """Return the mean colour around each cell, (3, h / 2, w / 2), of `samples`, (3, h, w), weighed by `say`.

    A cell has 2 x 2 samples; "around" is as wide as it takes for their says, (h, w), to add up. Who says most
    counts in full: the network may be sure of no pixel.
    """
    sums = np.empty((4, *say.shape), np.float32)
    np.divide(say, max(float(say.max()), _LEAST), out=sums[3])
    np.multiply(samples, sums[3], out=sums[:3])
    levels = [_halved(sums)]
    while max(levels[-1].shape[1:]) > 1:
        levels.append(_halved(levels[-1]))
    colours: Floats = levels[-1][:3] / (levels[-1][3] + np.float32(_LEAST))
    for level in levels[-2::-1]:
        height, width = level.shape[1:]
        finer = _doubled(colours)[:, :height, :width]
        blurred = _box_sum(np.pad(level, ((0, 0), (1, 1), (1, 1))), 1)
        blurred *= np.float32(1 / 9)
        colours = blurred[:3] + np.float32(_TRUSTED_SHARE) * finer
        colours /= blurred[3] + np.float32(_TRUSTED_SHARE)
    return colours


def _halved(planes: Floats) -> Floats:
    """Return (c, h, w) planes at half the size, rounded up; each value the mean of four, 0 where none are."""
    _, height, width = planes.shape
    even = planes
    if height % 2 or width % 2:  # np.pad always copies
        even = np.pad(planes, ((0, 0), (0, height % 2), (0, width % 2)))
    rows = even[:, 0::2] + even[:, 1::2]
    halved: Floats = (rows[..., 0::2] + rows[..., 1::2]) * np.float32(0.25)
    return halved


def _doubled(planes: Floats) -> Floats:
    """Return (c, h, w) planes at twice the size, smoothly."""
    _, height, width = planes.shape
    return np.stack(
        [
            np.asarray(Image.fromarray(plane).resize((2 * width, 2 * height), Image.Resampling.BILINEAR))
            for plane in planes
        ]
    )
