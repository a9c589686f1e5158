"""How a request for a part of a file reads."""

import pytest

from supervisor.api.files import is_range


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
    """As good as no range, and told so at once: nobody else is served meanwhile."""
    assert not is_range(text)
