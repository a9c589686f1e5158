"""Imports that look for no garbage: what they make stays, and the looks take an eighth of their time."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def pause_gc() -> Iterator[None]:
    """Import inside. What is there at the end is passed over by later looks, which then hold nobody up."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
