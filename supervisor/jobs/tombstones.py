"""The ids of what was there once: clients hear that it has expired, not that it never was."""

from collections import OrderedDict

from shared.errors import Expired, NotFound

REMEMBERED_IDS = 10_000


class Tombstones:
    """Remembers the latest ids of one `kind` of thing, and how to say that one is not there."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._ids: OrderedDict[str, None] = OrderedDict()

    def add(self, id_: str) -> None:
        """Remember an id; the oldest makes room."""
        self._ids[id_] = None
        if len(self._ids) > REMEMBERED_IDS:
            self._ids.popitem(last=False)

    def error(self, id_: str) -> Expired | NotFound:
        """Return the error for an id that nothing goes by now."""
        if id_ in self._ids:
            return Expired(f"The {self._kind} has expired and was deleted.")
        return NotFound(f"There is no {self._kind} by that id.")
