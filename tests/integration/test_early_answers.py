"""Answers before the end of a request's body reach the client, whatever it still sends."""

import socket
import time
from collections.abc import Iterator

import pytest

from supervisor.platform.lingering_close import LINGER_S
from tests.service import OBEYS, Service, running

BODY_BYTES = 20_000_000


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a token."""
    folder = tmp_path_factory.mktemp("locked")
    with running(folder / "data", folder / "temp", builtin_worker=OBEYS, token="s3cret") as service:
        yield service


def connect(service: Service, connection: str) -> socket.socket:
    """Open a connection, and send the head of a large upload without the token."""
    client = socket.create_connection(("127.0.0.1", service.port), timeout=20)
    head = f"POST /v1.0/removebg HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: {connection}\r\n"
    client.sendall(f"{head}Content-Type: image/png\r\nContent-Length: {BODY_BYTES}\r\n\r\n".encode())
    return client


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
def test_a_client_that_reads_after_its_upload_gets_the_refusal(locked: Service, connection: str) -> None:
    """nginx answered 502 in its place, and programs reported a lost connection."""
    for _ in range(5):
        with connect(locked, connection) as client:
            client.sendall(bytes(BODY_BYTES))
            answer = client.recv(65536)
            while connection == "close" and (more := client.recv(65536)):
                answer += more
        assert answer.startswith(b"HTTP/1.1 403")
        assert b"auth_failed" in answer


def test_a_client_that_never_ends_its_upload_is_closed(locked: Service) -> None:
    """It would keep the connection."""
    with connect(locked, "close") as client:
        answer = b"".join(iter(lambda: client.recv(65536), b""))
        assert b"auth_failed" in answer, "the answer and its end come at once"
        started = time.monotonic()
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            trickle(client, LINGER_S + 3)
        assert time.monotonic() - started > LINGER_S / 2


def trickle(client: socket.socket, seconds: float) -> None:
    """Send a byte now and then."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        client.sendall(b"x")
        time.sleep(0.05)


def test_a_request_that_was_read_whole_is_closed_at_once(locked: Service) -> None:
    """As before."""
    with socket.create_connection(("127.0.0.1", locked.port), timeout=20) as client:
        client.sendall(b"GET /api/v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        started = time.monotonic()
        while client.recv(65536):
            pass
        assert time.monotonic() - started < LINGER_S / 2
