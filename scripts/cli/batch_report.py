"""Reports the outcome of each image: sentences on standard error, or JSON Lines on standard output."""

from __future__ import annotations

import errno
import json
import sys
from typing import Any

import bootstrap
from cli.command_errors import EXIT_FAILED, CommandFailed
from cli.inputs import Source
from cli.outputs import Job
from cli.progress_line import Progress, replace_controls

RESULT_FIELDS = (
    *("width", "height", "subject", "coverage", "box", "frame", "scale_factor"),
    *("model_id", "device", "timings_ms"),
)


class Report:
    """Counts and reports written, skipped and failed images."""

    def __init__(self, progress: Progress, *, as_json: bool) -> None:
        self.progress = progress
        self._as_json = as_json
        self.brief = False  # with a progress bar: no sentence for each image
        self.written = self.skipped = 0
        self.failures: dict[str, CommandFailed] = {}  # by the image's name

    def add_written(self, job: Job, result: dict[str, Any], seconds: float) -> None:
        """Report a written result."""
        self.written += 1
        self.failures.pop(job.source.name, None)  # of an earlier attempt
        output = "-" if job.output is None else str(job.output)
        fields = {name: result.get(name) for name in RESULT_FIELDS}
        size = f"{fields['width']} x {fields['height']}"
        warnings = [str(warning) for warning in result.get("warnings") or []]  # an older server has none
        record = {"input": job.source.name, "output": output, **fields, "warnings": warnings}
        record["seconds"] = round(seconds, 3)
        target = "standard output" if job.output is None else output
        self._emit(record, f"wrote {target} ({size}, {fields['model_id']}, {seconds:.1f} s)", transient=True)
        for warning in warnings:
            self.note(f"{job.source.name}: {warning}")

    def add_up_to_date(self, job: Job) -> None:
        """Report an image whose result is up to date; as text only the summary counts it."""
        self.skipped += 1
        self._emit({"input": job.source.name, "output": str(job.output), "skipped": True}, None)

    def add_skipped_result(self, result: Source) -> None:
        """Report a file that was skipped since its name is that of a result."""
        self._emit({"input": result.name, "skipped": True, "reason": "result"}, None)

    def add_failed(self, job: Job, error: CommandFailed) -> None:
        """Report a failed image; the summary repeats it."""
        name = job.source.name
        self.failures[name] = error
        self._emit(_failure(name, error), f"{name}: {error.detail}", transient=True)

    def abort(self, name: str | None, error: CommandFailed) -> int:
        """Report the error that ended the run, or its only image, and return the exit code."""
        self._emit(_failure(name, error), error.detail)
        return error.exit_code

    def note(self, line: str) -> None:
        """Print a line for people only."""
        self._emit(None, line)

    def summarise(self, seconds: float) -> int:
        """Print the failures and the counts, and return the exit code."""
        for name, error in self.failures.items():
            self.note(f"failed: {name}: {error.detail}")
        parts = [f"wrote {self.written}"]
        if self.skipped:
            parts.append(f"skipped {self.skipped} up to date (--overwrite processes them again)")
        if self.failures:
            parts.append(f"{len(self.failures)} failed")
        self.note(f"{', '.join(parts)}, in {seconds:.1f} s")
        return EXIT_FAILED if self.failures else 0

    def _emit(self, record: dict[str, Any] | None, text: str | None, *, transient: bool = False) -> None:
        if self._as_json:
            if record is not None:
                _print(json.dumps(record))
        elif text is not None and not (transient and self.brief):
            self.progress.clear()
            bootstrap.print_message(replace_controls(text))


def _print(line: str) -> None:
    """Print and flush a line. Raises BrokenPipeError if the reader has closed the pipe."""
    try:
        print(line, flush=True)
    except OSError as error:
        # On Windows the C library reports a closed pipe as EINVAL (python/cpython#79935).
        if sys.platform == "win32" and error.errno == errno.EINVAL:
            raise BrokenPipeError from error
        raise


def _failure(name: str | None, error: CommandFailed) -> dict[str, Any]:
    return {"error": {"code": error.code, "detail": error.detail}, "input": name}
