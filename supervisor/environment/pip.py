"""Runs pip as a guarded subprocess and extracts the reason of a failure from its output."""

import re
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from supervisor.environment.guarded_process import CommandFailed, run_guarded_python

COMMON_OPTIONS = ("--no-input", "--disable-pip-version-check")
MAX_KEPT_LINES = 400
NO_PIP = "No module named pip"
UNHELPFUL_ERROR = "ResolutionImpossible"  # refers to pip's manual; the error before it has the reason
OFFLINE_SIGNS = ("Retrying (", "NewConnectionError", "ConnectTimeoutError", "NameResolutionError")
CROSS_MARK = "\N{MULTIPLICATION SIGN}"
_ERROR = re.compile(r"\s*(?:ERROR|error): (?P<reason>.+)")
_INTERNAL_ERROR = "Exception:"  # followed by a traceback, whose last line has the reason
_EXCEPTION = re.compile(r"[\w.]*Error\b.*")
_FAILED_PACKAGE = re.compile(r"╰─> (?P<package>[\w.-]+)")
_ERROR_CODE = re.compile(r"[a-z]+(-[a-z]+)+")  # "metadata-generation-failed": the CROSS_MARK line explains it


class PipFailed(Exception):
    """pip exited with an error; `reason` is its last error message, without a full stop."""

    def __init__(self, output: list[str]) -> None:
        self.reason = failure_reason(output)
        self.offline = any(sign in line for line in output for sign in OFFLINE_SIGNS)
        super().__init__(self.reason)


async def run(
    command: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> AsyncGenerator[str, None]:
    """Run a pip command and yield its output lines. Raises PipFailed after the last one.

    Cancelling kills pip and its descendants.
    """
    kept: deque[str] = deque(maxlen=MAX_KEPT_LINES)
    # -P: a folder in the working directory must not shadow the package of its name.
    pip = run_guarded_python("-P", "-m", "pip", command, *COMMON_OPTIONS, *arguments, environment=environment)
    try:
        async with aclosing(pip):
            async for line in pip:
                kept.append(line)
                yield line
    except CommandFailed as error:
        raise PipFailed([*kept, f"pip exited with code {error.code}"]) from error


def failure_reason(output: list[str]) -> str:
    """Return pip's last error message, else its last line."""
    if any(line.endswith(NO_PIP) for line in output):
        return "this environment has no pip; 'python -m ensurepip' installs it"
    reason = ""
    for line in output:
        error = _ERROR.match(line)
        if error and not _ERROR_CODE.fullmatch(error["reason"]) and UNHELPFUL_ERROR not in line:
            reason = error["reason"]
        elif reason == _INTERNAL_ERROR and _EXCEPTION.fullmatch(line):
            reason = line
        elif line.startswith(CROSS_MARK):
            reason = line.removeprefix(CROSS_MARK).strip()
        elif failed := _FAILED_PACKAGE.fullmatch(line):
            reason = f"{reason.rstrip('.')} of {failed['package']}"
    last = next((line.strip() for line in reversed(output) if line.strip()), "pip wrote no output")
    return (reason or last).strip().rstrip(".")
