"""A report whose reader closes the pipe, as `head` does."""

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


def report(monkeypatch: pytest.MonkeyPatch, platform: str, error: OSError) -> None:
    """Print a line of JSON on that platform into a pipe that raises that error."""
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(sys, "stdout", Pipe(error))
    Report(Progress(quiet=True), as_json=True).abort(
        "a.jpg", CommandFailed("It is damaged.", "damaged_image")
    )


@pytest.mark.parametrize(
    ("platform", "error"),
    [
        ("linux", BrokenPipeError(errno.EPIPE, "Broken pipe")),
        ("win32", OSError(errno.EINVAL, "Invalid argument")),
    ],
)
def test_a_closed_pipe_raises_the_same_error_on_every_platform(
    monkeypatch: pytest.MonkeyPatch, platform: str, error: OSError
) -> None:
    """The command line then exits silently; on Windows it printed a traceback."""
    with pytest.raises(BrokenPipeError):
        report(monkeypatch, platform, error)


@pytest.mark.parametrize(("platform", "number"), [("linux", errno.EINVAL), ("win32", errno.ENOSPC)])
def test_other_output_errors_are_raised_unchanged(
    monkeypatch: pytest.MonkeyPatch, platform: str, number: int
) -> None:
    """A full disk must not pass for a closed pipe."""
    with pytest.raises(OSError) as raised:  # noqa: PT011 - the number is compared
        report(monkeypatch, platform, OSError(number, "no"))
    assert raised.value.errno == number
    assert not isinstance(raised.value, BrokenPipeError)
