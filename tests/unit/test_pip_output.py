"""Parsing of pip's output: progress, and the reason of a failure."""

import pytest

from supervisor.environment.pip import PipFailed, failure_reason
from supervisor.environment.pip_progress import PipProgress, progress_bar_options

NEW_PIP = """
Looking in indexes: https://pypi.org/simple
Collecting torch==2.13.0 (from -c /tmp/c.txt (line 62))
  Downloading torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl.metadata (29 kB)
Collecting einops
  Downloading einops-0.8.2-py3-none-any.whl.metadata (13 kB)
Requirement already satisfied: filelock in ./lib (from torch==2.13.0) (4.2)
Downloading torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl (190.5 MB)
Progress 0 of 190500000
Progress 95250000 of 190500000
Progress 190500000 of 190500000
Using cached einops-0.8.2-py3-none-any.whl (65 kB)
Installing collected packages: einops, torch
Successfully installed einops-0.8.2 torch-2.13.0
"""
OLD_PIP = """
Collecting tiny
  Downloading https://files.example/tiny-1.0.tar.gz (2.0 kB)
  Preparing metadata (pyproject.toml): started
  Preparing metadata (pyproject.toml): finished with status 'done'
Collecting other>=2 (from tiny)
  Using cached other-2.0-py3-none-any.whl (1 kB)
Building wheels for collected packages: tiny
  Building wheel for tiny (pyproject.toml): started
Installing collected packages: other, tiny
  Attempting uninstall: tiny
Successfully installed other-2.0 tiny-1.0
"""


def feed_all(output: str, planned: int) -> tuple[list[float], list[str], list[str]]:
    """Return the percentages, the distinct messages, and the logged lines."""
    progress = PipProgress(planned)
    percents: list[float] = []
    messages: list[str] = []
    logged: list[str] = []
    for line in output.strip().splitlines():
        if progress.feed(line):
            logged.append(line)
        percents.append(progress.percent)
        if progress.message not in messages[-1:]:
            messages.append(progress.message)
    return percents, messages, logged


def test_byte_counts_advance_the_percentage_during_a_download() -> None:
    """torch is most of an install: without them, the progress bar would seem to hang."""
    percents, messages, logged = feed_all(NEW_PIP, planned=2)
    lines = NEW_PIP.strip().splitlines()
    start, middle, end = (
        percents[lines.index(f"Progress {n} of 190500000")] for n in (0, 95250000, 190500000)
    )
    assert start < middle < end
    assert middle - start == pytest.approx(end - middle)
    assert not any(line.startswith("Progress") for line in logged)
    assert messages == [
        "Querying the package index",
        "Collecting torch==2.13.0",
        "Collecting einops",
        "Downloading torch (190.5 MB)",
        "Using cached einops (65 kB)",
        "Installing einops, torch",
    ]


@pytest.mark.parametrize(("output", "planned"), [(NEW_PIP, 2), (OLD_PIP, 1), (OLD_PIP, 5), (OLD_PIP, 0)])
def test_the_percentage_rises_monotonically(output: str, planned: int) -> None:
    """Also with an old pip without byte counts, and with more packages than planned."""
    percents, _, _ = feed_all(output, planned)
    assert percents == sorted(percents)
    assert percents[0] < 20
    assert 80 <= percents[-2] <= 90
    assert percents[-1] == 98
    assert len(set(percents)) >= 5


def test_files_that_need_no_download_count_as_fetched() -> None:
    """A second install takes most from pip's cache; the bar must not jump from its first tenth to its end."""
    percents, _, _ = feed_all(
        """
Collecting one
  Using cached one-1.0-py3-none-any.whl (65 kB)
Collecting two
  Using cached two-1.0-py3-none-any.whl (65 kB)
""",
        planned=2,
    )
    assert percents[1] > 35
    assert percents[3] > 75


def test_the_steps_of_an_old_pip_are_messages() -> None:
    """Building a package takes minutes."""
    assert feed_all(OLD_PIP, planned=1)[1] == [
        "Collecting tiny",
        "Downloading tiny (2.0 kB)",
        "Preparing metadata (pyproject.toml)",
        "Collecting other>=2",
        "Using cached other (1 kB)",
        "Building wheel for tiny (pyproject.toml)",
        "Installing other, tiny",
    ]


@pytest.mark.parametrize(
    ("version", "bar"),
    [("26.3", "raw"), ("24.1", "raw"), ("24.1b1", "raw"), ("24.0", "off"), ("23.2.1", "off"), ("?", "off")],
)
def test_the_raw_progress_bar_is_requested_of_pip_24_1_and_later(version: str, bar: str) -> None:
    """An older pip exits with an error."""
    assert progress_bar_options(version) == ["--progress-bar", bar]


NO_SUCH_PACKAGE = """
ERROR: Could not find a version that satisfies the requirement x (from versions: none)
ERROR: No matching distribution found for x
"""
CONFLICT = """
ERROR: Cannot install x because these package versions have conflicting dependencies.

The conflict is caused by:
    The user requested x
    The user requested (constraint) x==2.0

ERROR: ResolutionImpossible: for help visit https://pip.pypa.io/
"""
UNFORESEEN = """
Collecting x
ERROR: Exception:
Traceback (most recent call last):
  File "pip/_internal/network/download.py", line 251, in _write_chunks_to_file
    download.output_file.write(chunk)
OSError: [Errno 28] No space left on device
"""
BUILD_FAILED = """
  error: subprocess-exited-with-error
  \N{MULTIPLICATION SIGN} Preparing metadata (pyproject.toml) did not run successfully.
      RuntimeError: no compiler here
  note: This error originates from a subprocess, and is likely not a problem with pip.
error: metadata-generation-failed

\N{MULTIPLICATION SIGN} Encountered error while generating package metadata.
╰─> {what}

note: This is an issue with the package mentioned above, not pip.
"""


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (NO_SUCH_PACKAGE, "No matching distribution found for x"),
        (CONFLICT, "Cannot install x because these package versions have conflicting dependencies"),
        (BUILD_FAILED.replace("{what}", "bad"), "Encountered error while generating package metadata of bad"),
        (
            BUILD_FAILED.replace("{what}", "See above for output."),
            "Encountered error while generating package metadata",
        ),
        (
            "/x/bin/python: No module named pip\n",
            "this environment has no pip; 'python -m ensurepip' installs it",
        ),
        (UNFORESEEN, "OSError: [Errno 28] No space left on device"),
        ("Collecting x\nKilled\n\n", "Killed"),
        ("", "pip wrote no output"),
    ],
)
def test_the_reason_is_the_last_error_message(output: str, reason: str) -> None:
    """It is one line of a page of output, and not always the last."""
    assert failure_reason(output.splitlines()) == reason


def test_a_network_failure_is_detected() -> None:
    """pip's last error then claims that the package does not exist."""
    retry = (
        "WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError(...)': /simple/x/"
    )
    assert PipFailed([retry, "ERROR: No matching distribution found for x"]).offline
    assert not PipFailed(["ERROR: No matching distribution found for x"]).offline
