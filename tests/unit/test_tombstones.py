"""What is remembered of things that have expired."""

import pytest

from shared.errors import Expired, NotFound
from supervisor.tasks import tombstones
from supervisor.tasks.tombstones import Tombstones


def test_only_the_latest_ids_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that runs for months would remember every photo, and its memory would grow without end."""
    monkeypatch.setattr(tombstones, "REMEMBERED_IDS", 2)
    files = Tombstones("file")
    for id_ in "abc":
        files.add(id_)
    assert [type(files.error(id_)) for id_ in "abcd"] == [NotFound, Expired, Expired, NotFound]
