"""Log lines in both formats, text and JSON."""

import json
import logging
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import pytest

from shared import logs
from shared.logs import JsonFormatter, LogfmtFormatter

CREATED = 1_700_000_000.25
TIME = "2023-11-14T22:13:20.250Z"


def record(message: str = "job requeued", **extra: Any) -> logging.LogRecord:
    """Return a record of a known time."""
    made = logging.makeLogRecord({"name": "supervisor", "levelname": "INFO", "msg": message, **extra})
    made.created, made.msecs = CREATED, 250.0
    return made


def raised() -> Any:
    """Return the exc_info of an exception that was raised."""
    try:
        int("x")
    except ValueError as error:
        return type(error), error, error.__traceback__
    return None


@pytest.fixture
def root_logger() -> Iterator[None]:
    """Restore the root logger, which `configure` changes."""
    root = logging.getLogger()
    before = root.level, root.handlers[:]
    yield
    root.level, root.handlers[:] = before


def test_text_is_logfmt_with_quoted_values() -> None:
    """Spaces and equals signs within a value must not look like another field."""
    line = LogfmtFormatter().format(record(task_id="bgremove_1", reason="a = b", empty=""))
    assert line == f'{TIME} INFO supervisor job requeued task_id=bgremove_1 reason="a = b" empty=""'


def test_json_is_one_object_per_line_with_the_extra_keys() -> None:
    """Log collectors index the fields; numbers stay numbers."""
    line = JsonFormatter().format(record(pid=7, path=PurePosixPath("/x"), reason="two\nlines", time="?"))
    assert "\n" not in line
    assert json.loads(line) == {
        "time": TIME,
        "level": "INFO",
        "logger": "supervisor",
        "message": "job requeued",
        "pid": 7,
        "path": "/x",
        "reason": "two\nlines",
    }


def test_a_traceback_is_one_field_of_the_json_line() -> None:
    """On lines of its own, collectors would take each for a record."""
    line = JsonFormatter().format(record(exc_info=raised()))
    assert "\n" not in line
    traceback = json.loads(line)["traceback"]
    assert traceback.startswith("Traceback (most recent call last):\n")
    assert traceback.splitlines()[-1].startswith("ValueError: invalid literal")
    assert LogfmtFormatter().format(record(exc_info=raised())).endswith(f"\n{traceback}")


@pytest.mark.usefixtures("root_logger")
def test_configure_sets_level_and_format(capsys: pytest.CaptureFixture[str]) -> None:
    """Every library's records go through the same formatter, to stderr."""
    logs.configure("warning", "json")
    logging.getLogger("uvicorn").info("not logged")
    logging.getLogger("uvicorn").warning("limit %d reached", 3)
    logs.configure("warning")
    logging.getLogger("uvicorn").warning("limit %d reached", 4)
    out, err = capsys.readouterr()
    first, second = err.splitlines()
    assert out == ""
    assert json.loads(first)["message"] == "limit 3 reached"
    assert second.endswith(" WARNING uvicorn limit 4 reached")
