"""The one error that the command line's parts raise."""

FAILED = 1
MISUSED = 2  # argparse's own code


class CommandFailed(Exception):
    """Why there is no cutout: a sentence for people, a code for programs."""

    def __init__(self, detail: str, code: str, exit_code: int = FAILED) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.exit_code = exit_code
