"""Workarounds of the Windows event loop, tested on asyncio's proactor loop with a fake proactor."""

import asyncio
import socket
import struct
import time
from asyncio import proactor_events
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from supervisor.platform import windows_loop

NETNAME_DELETED = OSError(22, "The specified network name is no longer available")  # WinError 64
LINGER_ZERO = struct.pack("ii", 1, 0)  # for SO_LINGER: closing resets the connection
WAIT_S = 20.0
Check = Callable[[asyncio.Transport], object]


class Proactor:
    """Fake proactor: accepts the sockets, and raises the errors, of `steps`; nothing else completes."""

    steps: list[OSError | socket.socket]

    def set_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def accept(self, _: socket.socket) -> asyncio.Future[tuple[socket.socket, tuple[str, int]]]:
        future = self._loop.create_future()
        if self.steps:
            step = self.steps.pop(0)
            if isinstance(step, OSError):
                future.set_exception(step)
            else:
                future.set_result((step, ("127.0.0.1", 1)))
        return future

    def select(self, timeout: float | None = None) -> list[object]:
        time.sleep(min(timeout or 0, 0.01))
        return []

    def recv(self, *_: object) -> asyncio.Future[bytes]:
        return self._loop.create_future()

    def recv_into(self, *_: object) -> asyncio.Future[int]:
        return self._loop.create_future()

    def _stop_serving(self, _: socket.socket) -> None:
        pass

    def close(self) -> None:
        pass


class Loop(proactor_events.BaseProactorEventLoop):
    """The platform-independent part of ProactorEventLoop."""

    def _write_to_self(self) -> None:
        pass


class Client(asyncio.Protocol):
    """Protocol that reports its connection."""

    def __init__(self, made: asyncio.Future[Any]) -> None:
        self._made = made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._made.set_result(transport)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[str]]]:
    """Run a server on the Windows loop and a check on its connection; return the loop's error reports."""
    monkeypatch.setattr(asyncio, "IocpProactor", Proactor, raising=False)
    monkeypatch.setattr(asyncio, "ProactorEventLoop", Loop, raising=False)
    with monkeypatch.context() as windows:
        windows.setattr("sys.platform", "win32")
        factory = windows_loop.choose_loop_factory(None)
    listener = socket.create_server(("127.0.0.1", 0))

    async def serving(check: Check) -> list[str]:
        loop = asyncio.get_running_loop()
        reports: list[str] = []
        loop.set_exception_handler(lambda _, context: reports.append(repr(context)))
        made: asyncio.Future[asyncio.Transport] = loop.create_future()
        server = await loop.create_server(lambda: Client(made), sock=listener)
        async with asyncio.timeout(WAIT_S):
            check(await made)
            (await made).close()
            server.close()
            await server.wait_closed()
        await asyncio.sleep(0)
        return reports

    def run(check: Check, *steps: OSError | socket.socket) -> list[str]:
        monkeypatch.setattr(Proactor, "steps", [*steps], raising=False)
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(serving(check))

    with listener:
        yield run


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection, the server's first, with proto 0 as the proactor creates it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
    with client, socket.socket(accepted.family, accepted.type, 0, fileno=accepted.detach()) as ours:
        yield ours, client


def test_a_reset_while_accepting_does_not_close_the_listener(
    serve: Callable[..., list[str]], ends: tuple[socket.socket, socket.socket]
) -> None:
    """asyncio closed the listening socket: the service kept running and refused every connection."""
    assert serve(lambda _: None, NETNAME_DELETED, NETNAME_DELETED, ends[0]) == []


def test_tcp_nodelay_is_set(
    serve: Callable[..., list[str]], ends: tuple[socket.socket, socket.socket]
) -> None:
    """Nagle's algorithm delays responses that are sent in several parts by up to 200 ms."""

    def check(made: asyncio.Transport) -> None:
        connection = made.get_extra_info("socket")
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert connection.gettimeout() == 0

    assert serve(check, ends[0]) == []


def test_a_reset_connection_can_be_closed(
    serve: Callable[..., list[str]], ends: tuple[socket.socket, socket.socket]
) -> None:
    """asyncio kept it open, so the shutdown waited for it until its timeout of three seconds."""
    ours, client = ends

    def reset(_: asyncio.Transport) -> None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
        client.close()

    assert serve(reset, ours) == []


def test_other_platforms_keep_the_default_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """uvloop, where it is available, is faster."""
    monkeypatch.setattr("sys.platform", "linux")
    assert windows_loop.choose_loop_factory(asyncio.SelectorEventLoop) is asyncio.SelectorEventLoop
