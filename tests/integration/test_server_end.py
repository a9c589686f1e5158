"""The service's end comes at once, whatever its clients and its name server are at."""

import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.service import OBEYS, Service, wait_for

HEALTH = b"GET /api/v1/health HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


@contextmanager
def knocking(port: int) -> Iterator[list[socket.socket]]:
    """Connect all the time, as many pages do that want their server back; gives the connections."""
    made: list[socket.socket] = []
    enough = threading.Event()

    def knock() -> None:
        while not enough.wait(0.002):
            with suppress(OSError):
                connection = socket.create_connection(("127.0.0.1", port), 5)
                made.append(connection)
                connection.sendall(HEALTH % port)

    threads = [threading.Thread(target=knock) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield made
    finally:
        enough.set()
        for thread in threads:
            thread.join()
        for connection in made:
            connection.close()


def test_a_client_that_connects_at_the_end_is_not_waited_for(start: Callable[..., Service]) -> None:
    """Three seconds of patience are meant for answers under way, not for a connection that nobody told."""
    service = start(builtin_worker=OBEYS)
    with knocking(service.port) as connections:
        wait_for(lambda: len(connections) >= 100)
        service.process.send_signal(signal.SIGTERM)
        assert service.wait() == 0
    assert "graceful shutdown exceeded" not in service.log


def test_a_name_server_that_never_answers_does_not_hold_up_the_end(data_dir: Path, tmp_path: Path) -> None:
    """The system asks it for half a minute, in a thread that nobody can cancel; a parent kills after five."""
    command = (sys.executable, "-m", "tests.integration.nameless_supervisor")
    service = Service(data_dir, tmp_path / "temp", {"builtin_worker": OBEYS}, command)
    try:
        service.client.post("/remove/url", json={"url": "http://example.com/photo.jpg"})
        wait_for(lambda: "asked in vain" in service.log)
    finally:
        service.end()
