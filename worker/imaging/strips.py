"""Work on a picture in strips of rows, on all cores: Pillow and NumPy let go of the interpreter meanwhile."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from worker.imaging.parallel import available_cores

# Enough that starting a strip costs nothing, few enough to share evenly; more in tall, narrow pictures.
STRIP_ROWS = 128
STRIPS_A_CORE = 16


def each_strip(height: int, fill: Callable[[int, int], None]) -> None:
    """Call `fill` with the first row of each strip and the one after its last, until `height` is reached."""
    cores = available_cores()
    rows = max(STRIP_ROWS, -(-height // (STRIPS_A_CORE * cores)))
    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(lambda top: fill(top, min(top + rows, height)), range(0, height, rows)))
