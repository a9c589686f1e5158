"""Work on all cores: how many there are, strips of rows on a thread pool, and resizing by strips."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worker.imaging.geometry import Box

CGROUP_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
# Enough that starting a strip costs nothing, few enough to share evenly; more in tall, narrow pictures.
STRIP_ROWS = 128
STRIPS_A_CORE = 16


def available_cores() -> int:
    """Return how many cores this process may keep busy: its affinity, within its container's quota."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = CGROUP_CPU_MAX.read_text().split()
    except (OSError, ValueError):
        return affinity
    return affinity if quota == "max" else max(1, min(affinity, int(quota) // int(period)))


def each_strip(height: int, fill: Callable[[int, int], None]) -> None:
    """Call `fill` with the first row of each strip and the one after its last, until `height` is reached."""
    cores = available_cores()
    rows = max(STRIP_ROWS, -(-height // (STRIPS_A_CORE * cores)))
    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(lambda top: fill(top, min(top + rows, height)), range(0, height, rows)))


def resized(
    picture: Image.Image,
    size: tuple[int, int],
    resample: Image.Resampling,
    box: Box | None = None,
    reducing_gap: float | None = None,
) -> NDArray[np.uint8]:
    """Return the 8-bit picture, or a box in it, at `size` (width, height): (H, W) or (H, W, bands).

    As Pillow's `resize` does it, anti-aliased where it shrinks.
    """
    width, height = size
    left, top, right, bottom = (0, 0, *picture.size) if box is None else box.corners
    scale = (bottom - top) / height
    bands = len(picture.getbands())
    full = np.empty((height, width) if bands == 1 else (height, width, bands), np.uint8)

    def fill(first: int, last: int) -> None:
        part = (left, top + first * scale, right, min(top + last * scale, bottom))
        full[first:last] = np.asarray(picture.resize((width, last - first), resample, part, reducing_gap))

    each_strip(height, fill)
    return full
