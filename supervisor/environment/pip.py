"""pip, as a process on a tether."""

import re
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from supervisor.environment.guarded_process import CommandEnded, run_python

ALWAYS = ("--no-input", "--disable-pip-version-check")
KEPT_LINES = 400
NO_PIP = "No module named pip"
NO_REASON = "ResolutionImpossible"  # points to pip's manual; the line before it says why
OFFLINE = ("Retrying (", "NewConnectionError", "ConnectTimeoutError", "NameResolutionError")
MARK = "\N{MULTIPLICATION SIGN}"
_ERROR = re.compile(r"\s*(?:ERROR|error): (?P<reason>.+)")
_UNFORESEEN = "Exception:"  # a traceback follows, and at its end what it was, such as a full disk
_EXCEPTION = re.compile(r"[\w.]*Error\b.*")
_CULPRIT = re.compile(r"╰─> (?P<package>[\w.-]+)")
_CODE = re.compile(r"[a-z]+(-[a-z]+)+")  # "metadata-generation-failed": the line with MARK says it in words


class PipFailed(Exception):
    """pip did not do what it was asked; `reason` is its own last error, without a full stop."""

    def __init__(self, output: list[str]) -> None:
        self.reason = reason_of(output)
        self.offline = any(sign in line for line in output for sign in OFFLINE)
        super().__init__(self.reason)


async def run(
    command: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> AsyncGenerator[str, None]:
    """Run one of pip's commands and yield its output by lines. Raises PipFailed after the last one.

    Cancelling kills pip and all that it started.
    """
    kept: deque[str] = deque(maxlen=KEPT_LINES)
    # -P: a folder of a package's name in the working folder must not pass for the package.
    pip = run_python("-P", "-m", "pip", command, *ALWAYS, *arguments, environment=environment)
    try:
        async with aclosing(pip):
            async for line in pip:
                kept.append(line)
                yield line
    except CommandEnded as error:
        raise PipFailed([*kept, f"pip ended with code {error.code}"]) from error


def reason_of(output: list[str]) -> str:
    """Return why pip failed, from its output: its last error, else its last line."""
    if any(line.endswith(NO_PIP) for line in output):
        return "this environment has no pip; 'python -m ensurepip' brings it"
    reason = ""
    for line in output:
        said = _ERROR.match(line)
        if said and not _CODE.fullmatch(said["reason"]) and NO_REASON not in line:
            reason = said["reason"]
        elif reason == _UNFORESEEN and _EXCEPTION.fullmatch(line):
            reason = line
        elif line.startswith(MARK):
            reason = line.removeprefix(MARK).strip()
        elif culprit := _CULPRIT.fullmatch(line):
            reason = f"{reason.rstrip('.')} of {culprit['package']}"
    last = next((line.strip() for line in reversed(output) if line.strip()), "it said nothing")
    return (reason or last).strip().rstrip(".")
