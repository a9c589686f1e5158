"""Values in log lines, which clients may have chosen."""

import logging

import pytest

from shared.logs import LogfmtFormatter


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("\x1b[31mred", '"\\u001b[31mred"'),
        ("a\x08\x08b", '"a\\b\\bb"'),
        ("a\u202eb", '"a\\u202eb"'),
        ("plain", "plain"),
        ("", '""'),
    ],
)
def test_control_characters_are_escaped(value: str, written: str) -> None:
    """A terminal that shows the log would obey them."""
    record = logging.makeLogRecord({"levelname": "INFO", "name": "x", "msg": "y", "path": value})
    assert LogfmtFormatter().format(record).endswith(f" path={written}")
