"""Parallel work on all cores: the core count, strips of rows on a thread pool, and resizing by strips."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
from PIL import Image

from shared.cores import count_cores
from worker.imaging.geometry import Part, Pixels

# Enough rows to make a strip's overhead negligible, few enough to balance the load; more in tall images.
STRIP_ROWS = 128
STRIPS_PER_CORE = 16
_core_limit: int | None = None


class Resizable(Protocol):
    """An image of Pillow's, or what resizes like one."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""

    def getbands(self) -> tuple[str, ...]:
        """Return the bands' names."""

    def resize(
        self,
        size: tuple[int, int],
        resample: Image.Resampling,
        box: Part | None,
        reducing_gap: float | None,
        /,
    ) -> Image.Image:
        """Return a resized copy."""


def limit_cores(count: int | None) -> None:
    """Limit `available_cores` of this process, once at its start: workers on one CPU divide its cores."""
    global _core_limit  # noqa: PLW0603  # of the process, as its affinity is
    _core_limit = count


def available_cores() -> int:
    """Return how many cores this process may use, within the limit of `limit_cores`."""
    cores = count_cores()
    return cores if _core_limit is None else max(1, min(cores, _core_limit))


def for_each_strip(height: int, process: Callable[[int, int], None]) -> None:
    """Call `process(top, bottom)` for strips of rows that cover `height`, on a thread per core.

    Pillow and NumPy release the interpreter lock while they compute.
    """
    cores = available_cores()
    rows = max(STRIP_ROWS, -(-height // (STRIPS_PER_CORE * cores)))
    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(lambda top: process(top, min(top + rows, height)), range(0, height, rows)))


def resize(
    image: Resizable,
    size: tuple[int, int],
    resample: Image.Resampling,
    part: Part | None = None,
    reducing_gap: float | None = None,
) -> Pixels:
    """Return the 8-bit image, or a part of it, at `size` (width, height): (H, W) or (H, W, bands).

    Anti-aliased where it shrinks, as Pillow's `resize`.
    """
    width, height = size
    bands = len(image.getbands())
    resized: Pixels = np.empty((height, width) if bands == 1 else (height, width, bands), np.uint8)

    def store(first: int, strip: Image.Image) -> None:
        resized[first : first + strip.height] = np.asarray(strip)

    _resize_strips(image, size, resample, part, reducing_gap, store)
    return resized


def resize_rgb(
    image: Resizable, size: tuple[int, int], resample: Image.Resampling, part: Part
) -> Image.Image:
    """Return a part of an RGB image at `size`, as an image: faster than by an array of its pixels."""
    resized = Image.new("RGB", size)
    _resize_strips(image, size, resample, part, None, lambda first, strip: resized.paste(strip, (0, first)))
    return resized


def _resize_strips(
    image: Resizable,
    size: tuple[int, int],
    resample: Image.Resampling,
    part: Part | None,
    reducing_gap: float | None,
    store: Callable[[int, Image.Image], None],
) -> None:
    """Resize by strips, and call `store(first, strip)` with the first row of each."""
    width, height = size
    left, top, right, bottom = part or (0, 0, *image.size)
    scale = (bottom - top) / height

    def resize_strip(first: int, last: int) -> None:
        rows = (left, top + first * scale, right, min(top + last * scale, bottom))
        store(first, image.resize((width, last - first), resample, rows, reducing_gap))

    for_each_strip(height, resize_strip)
