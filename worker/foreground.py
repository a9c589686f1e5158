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

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

# At most this many levels from clear or opaque, a wrong colour shows by no more than these levels: not soft.
_UNSEEN = 2
# The guesses come from every `step`-th pixel: a 12-megapixel photo's from 1 in 16, larger ones' from as many.
_MIN_STEP, _MAX_SAMPLES = 4, 1024
# How steeply a pixel's say falls with its alpha: at 230 of 255 it is a fifth of an opaque pixel's.
_STEEPNESS = 16
_SAY: Floats = ((np.arange(256, dtype=np.float32) / 255) ** _STEEPNESS).astype(np.float32)
# The share of opaque pixels at which a level of the pyramid and the coarser one count the same.
_TRUSTED_SHARE = 0.03
_NEAR_RADIUS = 2
# Small enough for a core's cache, large enough that NumPy's calls don't count.
_TILE_ROWS, _TILE_COLUMNS = 64, 512


def decontaminated(rgb: Pixels, alpha: Pixels) -> Pixels:
    """Return `rgb`, (H, W, 3), with the subject's own colour where `alpha`, (H, W), is soft.

    The same array comes back if nothing is soft. Works on one thread: NumPy's calls on a tile are too short
    for several to gain anything, and on larger tiles they leave the cache.
    """
    foreground = Foreground(rgb, alpha)
    if not foreground.is_needed:
        return rgb
    corrected = np.empty_like(rgb)
    for top in range(0, len(rgb), _TILE_ROWS):
        bottom = min(top + _TILE_ROWS, len(rgb))
        corrected[top:bottom] = foreground.rows(top, bottom)
    return corrected


class Foreground:
    """The subject's colours of one photo, a few rows at a time.

    Made of `rgb`, (H, W, 3) uint8, and its `alpha`, (H, W) uint8, which are kept and must not change. Making
    it takes a little time and up to 90 MiB, at any size; `rows` does the work, in proportion to what is soft.
    """

    def __init__(self, rgb: Pixels, alpha: Pixels) -> None:
        self._rgb, self._alpha = rgb, alpha
        self.is_needed = any(
            _soft(alpha[top : top + _TILE_ROWS]).any() for top in range(0, len(alpha), _TILE_ROWS)
        )
        if self.is_needed:
            step = max(_MIN_STEP, -(-max(alpha.shape) // _MAX_SAMPLES))
            middle = tuple(slice(min(step // 2, side - 1), None, step) for side in alpha.shape)
            samples, opacity = rgb[middle].transpose(2, 0, 1).astype(np.float32, order="C"), alpha[middle]
            self._cell = 2 * step
            self._subject = _spread(samples, _SAY[opacity])
            self._background = _spread(samples, _SAY[255 - opacity])

    def rows(self, top: int, bottom: int) -> Pixels:
        """Return rows `top` to `bottom`, (rows, W, 3): the photo's own but for soft pixels. Thread-safe.

        It may be a view of the photo. The result does not depend on how the rows are split up.
        """
        rows = self._rgb[top:bottom]
        if not self.is_needed or not _soft(self._alpha[top:bottom]).any():
            return rows
        rows = rows.copy()
        for tile in _soft_tiles(self._alpha, top, bottom):
            down, across = tile
            soft = np.repeat(_soft(self._alpha[tile]), 3, axis=1)
            line = slice(3 * across.start, 3 * across.stop)
            photo = rows.reshape(len(rows), -1)[down.start - top : down.stop - top, line]
            np.copyto(photo, self._estimated(tile), where=soft)
        return rows

    def _estimated(self, tile: tuple[slice, slice]) -> Pixels:
        """Return the subject's colour in `tile`, (h, 3 w), as if every pixel in it were soft.

        Inside, a row is its samples in a line, RGBRGB...: NumPy is fast on what lies together.
        """
        alpha = _around(self._alpha, tile).astype(np.float32) * np.float32(1 / 255)
        opacity = np.repeat(alpha, 3, axis=1)
        height, length = opacity.shape
        subject, background = (
            _enlarged(cells, self._cell, tile) for cells in (self._subject, self._background)
        )
        # What is left of the pixel without the background's share.
        rest = _around(self._rgb, tile).reshape(height, length).astype(np.float32)
        background -= opacity * background
        rest -= background
        colour = _fused(subject, rest, opacity)
        weight = alpha * alpha
        colour *= np.repeat(weight, 3, axis=1)
        near = _box_sum(colour, _NEAR_RADIUS, 3)
        near /= np.repeat(_box_sum(weight, _NEAR_RADIUS, 1) + np.float32(1e-6), 3, axis=1)
        inside = (slice(_NEAR_RADIUS, -_NEAR_RADIUS), slice(3 * _NEAR_RADIUS, -3 * _NEAR_RADIUS))
        colour = _fused(near, rest[inside], opacity[inside])
        colour += np.float32(0.5)
        return colour.astype(np.uint8)


def _soft(alpha: Pixels) -> NDArray[np.bool_]:
    """Tell which pixels show both the subject and the background."""
    return alpha - np.uint8(_UNSEEN + 1) < 255 - 2 * _UNSEEN - 1  # unsigned: below is above


def _soft_tiles(alpha: Pixels, top: int, bottom: int) -> Iterator[tuple[slice, slice]]:
    """Yield tiles, (rows, columns), that hold all soft pixels of rows `top` to `bottom`, and little else."""
    for first in range(top, bottom, _TILE_ROWS):
        for left in range(0, alpha.shape[1], _TILE_COLUMNS):
            soft = _soft(alpha[first : min(first + _TILE_ROWS, bottom), left : left + _TILE_COLUMNS])
            down, across = np.flatnonzero(soft.any(axis=1)), np.flatnonzero(soft.any(axis=0))
            if down.size:
                yield (
                    slice(first + int(down[0]), first + int(down[-1]) + 1),
                    slice(left + int(across[0]), left + int(across[-1]) + 1),
                )


def _around(pixels: Pixels, tile: tuple[slice, slice]) -> Pixels:
    """Return `tile` and `_NEAR_RADIUS` pixels around it, 0 where that is outside the picture."""
    inside, missing = [], []
    for side, size in zip(tile, pixels.shape, strict=False):
        start, stop = side.start - _NEAR_RADIUS, side.stop + _NEAR_RADIUS
        inside.append(slice(max(start, 0), stop))
        missing.append((max(-start, 0), max(stop - size, 0)))
    found = pixels[tuple(inside)]
    if not any(map(any, missing)):
        return np.ascontiguousarray(found)
    return np.pad(found, missing + [(0, 0)] * (pixels.ndim - 2))


def _enlarged(cells: Floats, cell: int, tile: tuple[slice, slice]) -> Floats:
    """Return `cells`, (h, w, 3), scaled up by `cell` where `_around` looks, with straight lines between."""
    down, across = tile
    upper, lower, share = _neighbours(down, cell, len(cells))
    left, right, share_across = _neighbours(across, cell, cells.shape[1])
    first = int(left[0])
    near = cells[:, first : int(right[-1]) + 1].reshape(len(cells), -1)
    rows = near[upper]
    rows += share[:, np.newaxis] * (near[lower] - rows)
    samples = np.arange(3)
    enlarged = rows[:, (3 * (left - first)[:, np.newaxis] + samples).ravel()]
    change = rows[:, (3 * (right - first)[:, np.newaxis] + samples).ravel()]
    change -= enlarged
    change *= np.repeat(share_across, 3)
    enlarged += change
    return enlarged


def _neighbours(
    side: slice, cell: int, count: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Return for each pixel of `side` and around it the cells before and after it, and the latter's share."""
    centres = np.arange(side.start - _NEAR_RADIUS, side.stop + _NEAR_RADIUS) + 0.5
    places = np.clip(centres / cell - 0.5, 0, count - 1)
    before = places.astype(np.intp)
    return before, np.minimum(before + 1, count - 1), (places - before).astype(np.float32)


def _fused(guess: Floats, rest: Floats, opacity: Floats) -> Floats:
    """Return guess + opacity (rest - opacity guess), in 0..255: from the guess at 0 to `rest` at 1."""
    fused = opacity * guess
    np.subtract(rest, fused, out=fused)
    fused *= opacity
    fused += guess
    return np.clip(fused, 0, 255, out=fused)


def _box_sum(values: Floats, radius: int, step: int) -> Floats:
    """Return the sums of (2 radius + 1) squared values, in rows `step` apart, where all of them are there."""
    height, width = values.shape
    rows = values[: height - 2 * radius].copy()
    for down in range(1, 2 * radius + 1):
        rows += values[down : height - 2 * radius + down]
    sums = rows[:, : width - 2 * radius * step].copy()
    for across in range(step, 2 * radius * step + 1, step):
        sums += rows[:, across : width - 2 * radius * step + across]
    return sums


def _spread(samples: Floats, say: Floats) -> Floats:
    """Return the mean colour around each cell, (h / 2, w / 2, 3), of `samples`, (3, h, w), weighed by `say`.

    A cell has 2 x 2 samples; "around" is as wide as it takes for their says, (h, w), to add up.
    """
    sums = np.empty((4, *say.shape), np.float32)
    np.multiply(samples, say, out=sums[:3])
    sums[3] = say
    levels = [_halved(sums)]
    while max(levels[-1].shape[1:]) > 1:
        levels.append(_halved(levels[-1]))
    colours = levels[-1][:3] / (levels[-1][3] + np.float32(1e-6))
    for level in levels[-2::-1]:
        height, width = level.shape[1:]
        finer = _doubled(colours)[:, :height, :width]
        blurred = np.stack([_box_sum(np.pad(plane, 1), 1, 1) for plane in level])
        blurred *= np.float32(1 / 9)
        colours = blurred[:3] + np.float32(_TRUSTED_SHARE) * finer
        colours /= blurred[3] + np.float32(_TRUSTED_SHARE)
    return np.ascontiguousarray(colours.transpose(1, 2, 0))


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
