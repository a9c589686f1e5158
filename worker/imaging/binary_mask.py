"""Binary masks: morphological opening, Gaussian blur and a threshold, as rembg post-processes its masks.

Source: `post_process` in rembg 2.0.86, which uses scikit-image's `opening` with `disk(1)` and SciPy's
`gaussian_filter` with sigma 2. The pixels are the same, except for rounding at the threshold.
"""

import numpy as np
from numpy.typing import NDArray

from worker.imaging.geometry import Pixels
from worker.imaging.parallel import for_each_strip

SIGMA_PX, RADIUS_PX = 2.0, 8  # SciPy truncates at four sigmas
THRESHOLD = 127  # of 255: from here on, a pixel is opaque
_CROSS_PX = 2  # rows on each side that an erosion and a dilation by one pixel depend on
_OFFSETS = np.arange(-RADIUS_PX, RADIUS_PX + 1)
_WEIGHTS = np.exp(-0.5 * (_OFFSETS / SIGMA_PX) ** 2)
_WEIGHTS = (_WEIGHTS / _WEIGHTS.sum()).astype(np.float32)


def binarise(alpha: Pixels) -> Pixels:
    """Return a matte, (H, W), with 0 and 255 only: without specks, and with a smooth outline."""
    height = len(alpha)
    opened, binary = np.empty_like(alpha), np.empty_like(alpha)

    def open_strip(top: int, bottom: int) -> None:
        first = max(0, top - _CROSS_PX)
        part = alpha[first : bottom + _CROSS_PX]
        opened[top:bottom] = _dilate(_erode(part))[top - first : bottom - first]

    def blur_strip(top: int, bottom: int) -> None:
        rows = opened[_reflect(np.arange(top - RADIUS_PX, bottom + RADIUS_PX), height)]
        columns = _reflect(np.arange(-RADIUS_PX, alpha.shape[1] + RADIUS_PX), alpha.shape[1])
        down = _convolve(rows.astype(np.float32))
        across = _convolve(np.ascontiguousarray(down[:, columns].T)).T
        binary[top:bottom] = np.where(across < THRESHOLD, 0, 255)

    for_each_strip(height, open_strip)
    for_each_strip(height, blur_strip)
    return binary


def _erode(alpha: Pixels) -> Pixels:
    """Return the minimum of each pixel and its four neighbours."""
    return _combine(np.minimum, alpha)


def _dilate(alpha: Pixels) -> Pixels:
    """Return the maximum of each pixel and its four neighbours."""
    return _combine(np.maximum, alpha)


def _combine(choose: np.ufunc, alpha: Pixels) -> Pixels:
    chosen = alpha.copy()
    choose(chosen[1:], alpha[:-1], out=chosen[1:])
    choose(chosen[:-1], alpha[1:], out=chosen[:-1])
    choose(chosen[:, 1:], alpha[:, :-1], out=chosen[:, 1:])
    choose(chosen[:, :-1], alpha[:, 1:], out=chosen[:, :-1])
    return chosen


def _convolve(padded: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the convolution along the first axis, which is shorter by the padding on both sides."""
    length = len(padded) - 2 * RADIUS_PX
    total: NDArray[np.float32] = _WEIGHTS[RADIUS_PX] * padded[RADIUS_PX : RADIUS_PX + length]
    for distance in range(1, RADIUS_PX + 1):
        before, after = RADIUS_PX - distance, RADIUS_PX + distance
        pair = padded[before : before + length] + padded[after : after + length]
        pair *= _WEIGHTS[before]
        total += pair
    return total


def _reflect(indices: NDArray[np.intp], length: int) -> NDArray[np.intp]:
    """Map indices outside 0..length-1 to those mirrored at the edges (dcba|abcd|dcba)."""
    wrapped = indices % (2 * length)
    return np.minimum(wrapped, 2 * length - 1 - wrapped)
