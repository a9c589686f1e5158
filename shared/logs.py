"""Structured logging on stderr: one line per record, as text (logfmt) or JSON."""

import contextlib
import json
import logging
import os
import queue
import stat
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, Literal

LogFormat = Literal["text", "json"]
STDERR = 2
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class LogfmtFormatter(logging.Formatter):
    """Format a record as `time level logger message key=value …`, quoting spaces and control characters."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line; a traceback, if any, follows on lines of its own."""
        parts = [_timestamp(record), record.levelname, record.name, record.getMessage()]
        parts += [f"{key}={_quoted(value)}" for key, value in _extra(record)]
        line = " ".join(parts)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """Format a record as one JSON object: time, level, logger, message, the `extra` keys, traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line. Values that JSON cannot represent become strings."""
        fields = {
            "time": _timestamp(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps({**dict(_extra(record)), **fields}, default=str)


class NonBlockingHandler(logging.Handler):
    """Writes lines to a descriptor on a thread of its own, through a bounded queue.

    A pipe that its reader does not empty would otherwise stop whichever thread logs, the event loop's too.
    Lines that find the queue full are dropped, and counted in the log itself.
    """

    def __init__(self, descriptor: int, max_lines: int = 10_000) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._lines: queue.Queue[str] = queue.Queue(max_lines)
        self._dropped = 0
        threading.Thread(target=self._write_lines, name="log-writer", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record's line; never waits."""
        try:
            self._lines.put_nowait(self.format(record))
        except queue.Full:
            self._dropped += 1

    def drain(self, timeout_s: float) -> None:
        """Wait until all lines are written, but not for longer than `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while self._lines.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.01)

    def _write_lines(self) -> None:
        while True:
            line = self._lines.get()
            dropped, self._dropped = self._dropped, 0
            if dropped:
                record = logging.makeLogRecord(
                    {
                        "name": "shared.logs",
                        "levelname": "WARNING",
                        "msg": "log lines dropped",
                        "count": dropped,
                    }
                )
                line = f"{self.format(record)}\n{line}"
            self._write(f"{line}\n".encode(errors="backslashreplace"))
            self._lines.task_done()

    def _write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # the reader is gone
            while data:
                data = data[os.write(self._descriptor, data) :]


def configure(level: str, log_format: LogFormat = "text") -> None:
    """Send every logger's records of `level` and above to stderr; stdout is for the ready line alone."""
    handler: logging.Handler = logging.StreamHandler()
    if sys.stderr is not None and _can_block(STDERR):
        handler = NonBlockingHandler(STDERR)
    handler.setFormatter(JsonFormatter() if log_format == "json" else LogfmtFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # What it says at a start is in the service's own words already; its logger's name looks like an error.
    logging.getLogger("uvicorn.error").setLevel(max(logging.WARNING, logging.getLogger().level))


def drain(timeout_s: float) -> None:
    """Wait until what was logged is written, but not for longer than `timeout_s`."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, NonBlockingHandler):
            handler.drain(timeout_s)


def _can_block(descriptor: int) -> bool:
    """Whether a write may wait for a reader: a pipe, a socket or a terminal, but no regular file."""
    try:
        return not stat.S_ISREG(os.fstat(descriptor).st_mode)
    except OSError:
        return False


def _extra(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    """Yield the record's `extra` fields."""
    return ((key, value) for key, value in vars(record).items() if key not in _STANDARD)


def _timestamp(record: logging.LogRecord) -> str:
    """Return when the record was made: UTC, ISO 8601 with milliseconds."""
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"


def _quoted(value: Any) -> str:  # noqa: ANN401  # any value may be logged
    text = str(value)
    plain = text.isprintable() and not any(c.isspace() or c in '"=' for c in text)
    return text if plain and text else json.dumps(text)
