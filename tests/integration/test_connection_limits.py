"""Connections that do nothing, half of something, or never read: others must not wait for them."""

import contextlib
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.photos import wish
from tests.service import OBEYS, Service, wait_for

HALF_HEAD = b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\nX-Half: "
LIMITED = ("sh", "-c", f"ulimit -n 300; exec {sys.executable} -m supervisor")
MANY = 400
LARGE_BYTES = 40_000_000


@contextmanager
def connections(service: Service, count: int, start: bytes) -> Iterator[list[socket.socket]]:
    """Open connections that send a beginning and nothing more."""
    opened: list[socket.socket] = []
    try:
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", service.port), timeout=30)
            opened.append(connection)
            with contextlib.suppress(OSError):
                connection.sendall(start)
        yield opened
    finally:
        for connection in opened:
            connection.close()


def is_closed(connection: socket.socket) -> bool:
    """Whether the server has closed a connection that it has answered nothing on."""
    connection.settimeout(0.05)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


@pytest.fixture
def limited(data_dir: Path, tmp_path: Path) -> Iterator[Service]:
    service = Service(data_dir, tmp_path / "temp", {"builtin_worker": OBEYS}, command=LIMITED)
    yield service
    service.end()


@pytest.mark.parametrize("start", [b"", HALF_HEAD, b"G"])
def test_more_connections_than_descriptors_lock_nobody_out(limited: Service, start: bytes) -> None:
    """No token is needed for them, and the page of the machine's own user would not load."""
    with connections(limited, MANY, start):
        began = time.monotonic()
        assert limited.client.get("/health").status_code == 200
        assert limited.cut(wish("photo")) == wish("photo")
        assert time.monotonic() - began < 10


def test_the_connection_that_is_idle_for_longest_is_closed_first(limited: Service) -> None:
    """A client that is active must not pay for those that are not."""
    limited.client.get("/health")
    with connections(limited, MANY, b"") as opened:
        wait_for(lambda: is_closed(opened[0]))
        assert not is_closed(opened[-1])


@pytest.mark.parametrize("trickle", [False, True])
def test_a_head_that_does_not_end_is_given_up(fake: Service, trickle: bool) -> None:  # noqa: FBT001
    """Also one that comes a byte at a time, and one after a request that was answered."""
    whole = b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with connections(fake, 1, whole) as (connection,):
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        connection.sendall(HALF_HEAD)
        began = time.monotonic()
        while not is_closed(connection):
            assert time.monotonic() - began < 20
            if trickle:
                with contextlib.suppress(OSError):
                    connection.sendall(b"x")
            time.sleep(0.2)
        assert time.monotonic() - began > 5


def test_a_client_that_never_reads_is_closed(data_dir: Path, tmp_path: Path) -> None:
    """Its response would be held in memory, and its descriptor, until the service ends."""
    code = (
        "import sys; from supervisor.platform import connection_limits as limits;"
        "limits.ConnectionLimits.__init__.__defaults__ = (10.0, 1.0);"
        "from supervisor.server import main; main(sys.argv[1:])"
    )
    command = (sys.executable, "-c", code)
    service = Service(data_dir, tmp_path / "temp", {"builtin_worker": OBEYS}, command=command)
    try:
        task_id = service.upload(wish("x" * LARGE_BYTES))
        service.finished(task_id)
        url = service.client.get(f"/remove/result/{task_id}").json()["result_url"]
        request = f"GET {url} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        with connections(service, 1, request) as (connection,):
            time.sleep(4)
            connection.settimeout(10)
            received = 0
            with contextlib.suppress(ConnectionError):
                while chunk := connection.recv(1_000_000):
                    received += len(chunk)
            assert received < LARGE_BYTES
        assert service.cut(wish("next")) == wish("next")
    finally:
        service.end()
