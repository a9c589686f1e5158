"""Exceptions and exit codes of the command line."""

EXIT_FAILED = 1
EXIT_USAGE = 2  # as argparse


class CommandFailed(Exception):
    """A command or one image failed: a sentence for people, a code for programs, an exit code."""

    def __init__(self, detail: str, code: str, exit_code: int = EXIT_FAILED) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.exit_code = exit_code


class Terminated(SystemExit):
    """SIGTERM or SIGHUP was received. Uncaught, it exits with 128 plus the signal's number."""


class Unreachable(CommandFailed):
    """The server cannot be reached, or a proxy answers in its place."""


class ServerBusy(CommandFailed):
    """The server's queue is full (HTTP 429); `retry_after_s` is the delay before the next attempt."""

    def __init__(self, detail: str, code: str, retry_after_s: float) -> None:
        super().__init__(detail, code)
        self.retry_after_s = retry_after_s


def usage_error(detail: str) -> CommandFailed:
    """Return the error for arguments that cannot work, which exits with EXIT_USAGE."""
    return CommandFailed(detail, "usage", EXIT_USAGE)
