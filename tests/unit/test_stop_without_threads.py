"""The signal to stop while the system has no threads left."""

import threading

import pytest
import uvicorn

from supervisor.container import Address
from supervisor.server import Server


def test_it_stops_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exception in the signal handler came before the flag that ends the service."""

    def lack(_: threading.Timer) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Timer, "start", lack)
    server = Server(uvicorn.Config("none:none", log_config=None), Address("127.0.0.1", 0))
    server.stop()
    assert server.should_exit
