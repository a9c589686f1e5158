"""Tombstones: remembers recently deleted ids, so that clients get 410 Gone instead of 404."""

from collections import OrderedDict

from shared.errors import Expired, NotFound

REMEMBERED_IDS = 10_000


class Tombstones:
    """The latest deleted ids of one `kind` of thing, such as "task"."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._ids: OrderedDict[str, None] = OrderedDict()

    def add(self, id_: str) -> None:
        """Remember an id; the oldest one is dropped beyond the limit."""
        self._ids[id_] = None
        if len(self._ids) > REMEMBERED_IDS:
            self._ids.popitem(last=False)

    def error(self, id_: str) -> Expired | NotFound:
        """Return the error for an id that is not in use."""
        if id_ in self._ids:
            return Expired(f"The {self._kind} has expired and was deleted.")
        return NotFound(f"There is no {self._kind} by that id.")
