"""Tells what became of each photo: in words on stderr, or as JSON, a line each, on stdout."""

from __future__ import annotations

import errno
import json
import sys
from typing import Any

import bootstrap
from cli.command_errors import EXIT_FAILED, CommandFailed
from cli.inputs import Source
from cli.outputs import Job
from cli.progress_line import Progress, shown

REPORTED = ("width", "height", "subject", "coverage", "box", "frame", "model_id", "device", "timings_ms")


class Report:
    """Counts what was written, skipped and failed, and tells of it."""

    def __init__(self, progress: Progress, *, as_json: bool) -> None:
        self.progress = progress
        self._as_json = as_json
        self.brief = False  # a bar is drawn: no words for each photo
        self.written = self.skipped = 0
        self.failures: dict[str, CommandFailed] = {}  # by the photo's name

    def wrote(self, job: Job, result: dict[str, Any], seconds: float) -> None:
        """Tell of a finished photo."""
        self.written += 1
        self.failures.pop(job.source.name, None)  # of another try
        output = "-" if job.output is None else str(job.output)
        facts = {name: result.get(name) for name in REPORTED}
        size = f"{facts['width']} x {facts['height']}"
        fact = {"input": job.source.name, "output": output, **facts, "seconds": round(seconds, 3)}
        where = "standard output" if job.output is None else output
        self._tell(fact, f"wrote {where} ({size}, {facts['model_id']}, {seconds:.1f} s)", passing=True)

    def skipped_done(self, job: Job) -> None:
        """Tell of a photo whose result is there; the words come as one number at the end."""
        self.skipped += 1
        self._tell({"input": job.source.name, "output": str(job.output), "skipped": True}, None)

    def left_out(self, result: Source) -> None:
        """Tell of a picture that was not taken, as it is a result by its name."""
        self._tell({"input": result.name, "skipped": True, "reason": "result"}, None)

    def failed(self, job: Job, error: CommandFailed) -> None:
        """Tell of a photo that failed; the words come once more at the end."""
        name = job.source.name
        self.failures[name] = error
        self._tell(_failure(name, error), f"{name}: {error.detail}", passing=True)

    def ended(self, name: str | None, error: CommandFailed) -> int:
        """Tell what ended the whole run, or its only photo; gives the exit code."""
        self._tell(_failure(name, error), error.detail)
        return error.exit_code

    def note(self, line: str) -> None:
        """Tell a person something that a program need not know."""
        self._tell(None, line)

    def summary(self, seconds: float) -> int:
        """Tell what failed and how many did what; gives the exit code."""
        for name, error in self.failures.items():
            self.note(f"failed: {name}: {error.detail}")
        parts = [f"wrote {self.written}"]
        if self.skipped:
            parts.append(f"skipped {self.skipped} done already (--overwrite does them again)")
        if self.failures:
            parts.append(f"{len(self.failures)} failed")
        self.note(f"{', '.join(parts)}, in {seconds:.1f} s")
        return EXIT_FAILED if self.failures else 0

    def _tell(self, fact: dict[str, Any] | None, words: str | None, *, passing: bool = False) -> None:
        if self._as_json:
            if fact is not None:
                _print(json.dumps(fact))
        elif words is not None and not (passing and self.brief):
            self.progress.clear()
            bootstrap.print_message(shown(words))


def _print(line: str) -> None:
    """Print a line at once. Raises BrokenPipeError where who reads it has gone."""
    try:
        print(line, flush=True)
    except OSError as error:
        # On Windows, the C library's word for that (python/cpython#79935).
        if sys.platform == "win32" and error.errno == errno.EINVAL:
            raise BrokenPipeError from error
        raise


def _failure(name: str | None, error: CommandFailed) -> dict[str, Any]:
    return {"error": {"code": error.code, "detail": error.detail}, "input": name}
