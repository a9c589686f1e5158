"""What becomes of a report whose reader goes away, as `head` does after some lines."""

import errno
import io
import sys

import pytest

from cli.batch_report import Report
from cli.command_errors import CommandFailed
from cli.progress_line import Progress


class Pipe(io.StringIO):
    """Standard output into a pipe that fails."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self._error = error

    def write(self, _: str) -> int:
        raise self._error


def tell(monkeypatch: pytest.MonkeyPatch, platform: str, error: OSError) -> None:
    """Print a line of JSON on that platform, into a pipe that fails like that."""
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(sys, "stdout", Pipe(error))
    Report(Progress(quiet=True), as_json=True).ended(
        "a.jpg", CommandFailed("It is damaged.", "damaged_image")
    )


@pytest.mark.parametrize(
    ("platform", "error"),
    [
        ("linux", BrokenPipeError(errno.EPIPE, "Broken pipe")),
        ("win32", OSError(errno.EINVAL, "Invalid argument")),
    ],
)
def test_a_reader_that_has_gone_is_told_alike_everywhere(
    monkeypatch: pytest.MonkeyPatch, platform: str, error: OSError
) -> None:
    """The command line ends quietly then; on Windows it ended in a traceback."""
    with pytest.raises(BrokenPipeError):
        tell(monkeypatch, platform, error)


@pytest.mark.parametrize(("platform", "number"), [("linux", errno.EINVAL), ("win32", errno.ENOSPC)])
def test_other_faults_of_the_output_stay_what_they_are(
    monkeypatch: pytest.MonkeyPatch, platform: str, number: int
) -> None:
    """A full disk must not pass for a reader that had enough."""
    with pytest.raises(OSError) as raised:  # noqa: PT011 - the number is looked at
        tell(monkeypatch, platform, OSError(number, "no"))
    assert raised.value.errno == number
    assert not isinstance(raised.value, BrokenPipeError)
