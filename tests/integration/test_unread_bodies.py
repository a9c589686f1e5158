"""Synchronous removals whose request does not end with its head."""

import socket

from tests.service import Service


def test_a_get_whose_body_never_comes_leaves_no_traceback(fake: Service, pictures: str) -> None:
    """The wait for its client's disconnect ended with an error that nobody retrieved."""
    head = f"GET /api/remove?url={pictures}/holiday.png HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    with socket.create_connection(("127.0.0.1", fake.port), timeout=10) as connection:
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n20000\r\n".encode() + b"x" * 0x20000)
        assert connection.recv(12) in (b"HTTP/1.1 413", b"HTTP/1.1 200", b"HTTP/1.1 400")
    assert "never retrieved" not in fake.log
