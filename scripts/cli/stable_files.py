"""Tells which files of a folder are whole: those whose size and time have not changed for a moment."""

from collections.abc import Mapping
from typing import NamedTuple


class Stamp(NamedTuple):
    """What changes when a file is written to."""

    size_bytes: int
    changed_ns: int


class Settling:
    """Follows files from one look to the next."""

    def __init__(self, settle_s: float) -> None:
        self._settle_s = settle_s
        self._since: dict[str, tuple[Stamp, float]] = {}

    def look(self, now_s: float, stamps: Mapping[str, Stamp]) -> list[str]:
        """Take in the files as they are now and return those that have settled. Empty ones never do."""
        kept = {}
        for name, stamp in stamps.items():
            before, since = self._since.get(name, (None, now_s))
            kept[name] = (stamp, since if before == stamp else now_s)
        self._since = kept
        return [
            name
            for name, (stamp, since) in kept.items()
            if stamp.size_bytes and now_s - since >= self._settle_s
        ]
