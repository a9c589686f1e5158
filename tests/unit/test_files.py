"""How a request for a file, or for a part of one, is read."""

from pathlib import Path

import pytest

from shared.errors import Expired
from supervisor.api.responses import StoredFileResponse, is_range


@pytest.mark.parametrize("text", ["bytes=0-3", "bytes=0-", "bytes=-5", "Bytes = 0-1, 4-"])
def test_a_range_of_bytes_is_known(text: str) -> None:
    """Downloads go on with it where they broke off."""
    assert is_range(text)


@pytest.mark.parametrize(
    "text",
    [
        "lines=1-2",
        "bytes",
        "bytes=",
        "bytes=5-2",
        "bytes=a-b",
        "bytes=1-2-3",
        "bytes=-",
        f"bytes={'1' * 60_000}x",
        f"bytes={'0-1,' * 15_000}0-1",
    ],
    ids=lambda text: text[:12],
)
def test_what_is_none_is_none(text: str) -> None:
    """As good as no range, and answered quickly: nobody else is served meanwhile."""
    assert not is_range(text)


def test_a_file_that_goes_as_it_is_asked_for_has_expired(tmp_path: Path) -> None:
    """The framework would call that a fault of the service, and clients would report it."""
    with pytest.raises(Expired):
        StoredFileResponse(tmp_path / "result", "image/png", {})
