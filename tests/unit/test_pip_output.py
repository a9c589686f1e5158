"""What pip writes, read: how far it is, and why it failed."""

import pytest

from supervisor.environment.pip import PipFailed, reason_of
from supervisor.environment.pip_progress import PipProgress, progress_arguments

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


def follow(output: str, planned: int) -> tuple[list[float], list[str], list[str]]:
    """Return the percentages, the messages without repetition, and the lines for the log."""
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


def test_raw_counts_move_the_bar_in_the_middle_of_a_download() -> None:
    """torch alone is most of an install: a bar that waits for its end looks hung."""
    percents, messages, logged = follow(NEW_PIP, planned=2)
    lines = NEW_PIP.strip().splitlines()
    start, middle, end = (
        percents[lines.index(f"Progress {n} of 190500000")] for n in (0, 95250000, 190500000)
    )
    assert start < middle < end
    assert middle - start == pytest.approx(end - middle)
    assert not any(line.startswith("Progress") for line in logged)
    assert messages == [
        "Asking the package index",
        "Collecting torch==2.13.0",
        "Collecting einops",
        "Downloading torch (190.5 MB)",
        "Using cached einops (65 kB)",
        "Installing einops, torch",
    ]


@pytest.mark.parametrize(("output", "planned"), [(NEW_PIP, 2), (OLD_PIP, 1), (OLD_PIP, 5), (OLD_PIP, 0)])
def test_the_bar_only_rises_and_ends_near_its_end(output: str, planned: int) -> None:
    """Also with an old pip, which counts nothing, and with packages nobody planned for."""
    percents, _, _ = follow(output, planned)
    assert percents == sorted(percents)
    assert percents[0] < 20
    assert 80 <= percents[-2] <= 90
    assert percents[-1] == 98
    assert len(set(percents)) >= 5


def test_an_old_pip_tells_its_steps() -> None:
    """Building takes minutes, and is neither a download nor an install."""
    assert follow(OLD_PIP, planned=1)[1] == [
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
def test_only_a_pip_that_knows_the_raw_bar_is_asked_for_it(version: str, bar: str) -> None:
    """An older one ends with an error."""
    assert progress_arguments(version) == ["--progress-bar", bar]


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
            "this environment has no pip; 'python -m ensurepip' brings it",
        ),
        (UNFORESEEN, "OSError: [Errno 28] No space left on device"),
        ("Collecting x\nKilled\n\n", "Killed"),
        ("", "it said nothing"),
    ],
)
def test_the_reason_is_pips_own_last_error(output: str, reason: str) -> None:
    """A page of output hides the one line that matters, and it is not always the last one."""
    assert reason_of(output.splitlines()) == reason


def test_a_lost_connection_is_known() -> None:
    """pip's own last word then is that there is no such package, which is not true."""
    retry = (
        "WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError(...)': /simple/x/"
    )
    assert PipFailed([retry, "ERROR: No matching distribution found for x"]).offline
    assert not PipFailed(["ERROR: No matching distribution found for x"]).offline
