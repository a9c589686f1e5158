"""What a network's worker does with memory that it has freed: it keeps it, for the next layer."""

import ctypes
import sys

# From glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8
MOST = 2**31 - 1


def keep_freed() -> None:
    """Have glibc reuse large blocks in place of returning them to the system and asking for fresh ones.

    Fresh ones come page by page, each zeroed at its first touch: for a network's tensors, tens of megabytes
    each, that costs as much as what is computed in them. Ending the process gives all back. Does nothing
    where the C library is another one.
    """
    if not sys.platform.startswith("linux"):
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "gnu_get_libc_version"):
        library.mallopt(M_ARENA_MAX, 1)  # so that one thread's blocks serve the others too
        library.mallopt(M_MMAP_MAX, 0)
        library.mallopt(M_TRIM_THRESHOLD, MOST)
