"""Tunes glibc malloc to reuse freed tensor memory instead of returning it, and counts what is free."""

import ctypes
import sys

# From glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8
INT_MAX = 2**31 - 1


def retain_freed_memory() -> None:
    """Set mallopt so that large blocks stay in the heap; does nothing with another C library.

    Memory from the system arrives by page faults, each page zeroed on first touch: for a network's tensors of
    tens of megabytes, that costs as much as the arithmetic. The process's exit returns it all.
    """
    if not sys.platform.startswith("linux"):
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "gnu_get_libc_version"):
        library.mallopt(M_ARENA_MAX, 1)  # one arena: blocks freed by one thread serve the others too
        library.mallopt(M_MMAP_MAX, 0)
        library.mallopt(M_TRIM_THRESHOLD, INT_MAX)


def release_freed_memory() -> None:
    """Return the memory that glibc retains to the system; takes milliseconds per gigabyte.

    Images are allocated in blocks on several threads, each with an arena that retains what is free in it:
    after a few large images, twice as much as any one of them needs.
    """
    library = ctypes.CDLL(None)
    if sys.platform.startswith("linux") and hasattr(library, "malloc_trim"):
        library.malloc_trim(0)


class _Statistics(ctypes.Structure):
    """glibc's struct mallinfo2."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def count_free_heap_bytes() -> int:
    """Return how much freed memory the C library retains for this process; 0 where that is unknown."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallinfo2"):
        return 0
    library.mallinfo2.restype = _Statistics
    return int(library.mallinfo2().fordblks)
