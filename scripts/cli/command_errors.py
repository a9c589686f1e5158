"""The errors that the command line's parts raise."""

EXIT_FAILED = 1
EXIT_USAGE = 2  # argparse's own code


class CommandFailed(Exception):
    """Why there is no cutout: a sentence for people, a code for programs."""

    def __init__(self, detail: str, code: str, exit_code: int = EXIT_FAILED) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.exit_code = exit_code


class Terminated(SystemExit):
    """A signal asks this program to end. Left uncaught, it ends it with the code that shells expect."""


class Unreachable(CommandFailed):
    """The server did not answer at all."""


class ServerBusy(CommandFailed):
    """The server's queue is full (HTTP 429); `retry_after_s` is the delay before the next attempt."""

    def __init__(self, detail: str, code: str, retry_after_s: float) -> None:
        super().__init__(detail, code)
        self.retry_after_s = retry_after_s


def usage_error(detail: str) -> CommandFailed:
    """Return the error of a command that cannot work as it was written."""
    return CommandFailed(detail, "usage", EXIT_USAGE)
