"""The setting BGREMOVE_LOG_FORMAT, in a running service."""

import json
from collections.abc import Callable

from tests.photos import wish
from tests.service import OBEYS, Service


def test_every_line_of_a_json_log_is_an_object(start: Callable[..., Service]) -> None:
    """One line in another format would make a log collector drop it, or stop."""
    service = start(builtin_worker=OBEYS, log_format="json")
    service.finished(service.upload(wish("exit 3")))
    lines = [json.loads(line) for line in service.log.splitlines()]
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    assert any(line.get("error") == "worker_crashed" for line in lines)
