"""Structured logging: one line a record on stderr, `extra` fields as key=value."""

import json
import logging
import time
from typing import Any

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class LogfmtFormatter(logging.Formatter):
    """Format a record as `time level logger message key=value …`, quoting values that hold spaces."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line; a traceback, if any, follows on lines of its own."""
        stamp = f"{self.formatTime(record, '%Y-%m-%dT%H:%M:%S')}.{int(record.msecs):03d}Z"
        parts = [stamp, record.levelname, record.name, record.getMessage()]
        parts += [f"{key}={_text(value)}" for key, value in vars(record).items() if key not in _STANDARD]
        line = " ".join(parts)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _text(value: Any) -> str:  # noqa: ANN401  # any value may be logged
    text = str(value)
    return json.dumps(text) if not text or any(c.isspace() or c in '"=' for c in text) else text


def configure(level: str) -> None:
    """Send every logger's records of `level` and above to stderr; stdout stays free for the ready line."""
    handler = logging.StreamHandler()
    handler.setFormatter(LogfmtFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
