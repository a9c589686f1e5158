"""Structured logging on stderr: one line per record, as text (logfmt) or JSON."""

import json
import logging
import time
from collections.abc import Iterator
from typing import Any, Literal

LogFormat = Literal["text", "json"]
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class LogfmtFormatter(logging.Formatter):
    """Format a record as `time level logger message key=value …`, quoting values that hold spaces."""

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


def configure(level: str, log_format: LogFormat = "text") -> None:
    """Send every logger's records of `level` and above to stderr; stdout is for the ready line alone."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if log_format == "json" else LogfmtFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def _extra(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    """Yield the record's `extra` fields."""
    return ((key, value) for key, value in vars(record).items() if key not in _STANDARD)


def _timestamp(record: logging.LogRecord) -> str:
    """Return when the record was made: UTC, ISO 8601 with milliseconds."""
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"


def _quoted(value: Any) -> str:  # noqa: ANN401  # any value may be logged
    text = str(value)
    return json.dumps(text) if not text or any(c.isspace() or c in '"=' for c in text) else text
