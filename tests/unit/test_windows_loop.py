"""How connections are accepted on Windows, by asyncio's own loop over a stand-in for its proactor."""

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
AT_ONCE = struct.pack("ii", 1, 0)  # for SO_LINGER: closing resets the connection
WAIT_S = 20.0
Check = Callable[[asyncio.Transport], object]


class Proactor:
    """Accepts what `steps` hold, then waits for ever, as all else does."""

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
    """The part of ProactorEventLoop that is the same on every system."""

    def _write_to_self(self) -> None:
        pass


class Client(asyncio.Protocol):
    """Tells of its connection."""

    def __init__(self, made: asyncio.Future[Any]) -> None:
        self._made = made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._made.set_result(transport)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[str]]]:
    """Serve on Windows' loop what the proactor brings, to a check; return what the loop complained of."""
    monkeypatch.setattr(asyncio, "IocpProactor", Proactor, raising=False)
    monkeypatch.setattr(asyncio, "ProactorEventLoop", Loop, raising=False)
    with monkeypatch.context() as windows:
        windows.setattr("sys.platform", "win32")
        factory = windows_loop.factory_or(None)
    listener = socket.create_server(("127.0.0.1", 0))

    async def serving(check: Check) -> list[str]:
        loop = asyncio.get_running_loop()
        complaints: list[str] = []
        loop.set_exception_handler(lambda _, context: complaints.append(repr(context)))
        made: asyncio.Future[asyncio.Transport] = loop.create_future()
        server = await loop.create_server(lambda: Client(made), sock=listener)
        async with asyncio.timeout(WAIT_S):
            check(await made)
            (await made).close()
            server.close()
            await server.wait_closed()
        await asyncio.sleep(0)
        return complaints

    def run(check: Check, *steps: OSError | socket.socket) -> list[str]:
        monkeypatch.setattr(Proactor, "steps", [*steps], raising=False)
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(serving(check))

    with listener:
        yield run


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection, ours first, and as the proactor makes it: it does not say that it is TCP."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
    with client, socket.socket(accepted.family, accepted.type, 0, fileno=accepted.detach()) as ours:
        yield ours, client


def test_a_client_that_resets_its_connection_costs_nobody_else_theirs(
    serve: Callable[..., list[str]], ends: tuple[socket.socket, socket.socket]
) -> None:
    """asyncio itself closed the listening socket: the service ran on, and refused everybody."""
    assert serve(lambda _: None, NETNAME_DELETED, NETNAME_DELETED, ends[0]) == []


def test_answers_are_not_held_back(
    serve: Callable[..., list[str]], ends: tuple[socket.socket, socket.socket]
) -> None:
    """Nagle's delay adds up to a fifth of a second to answers that come in several parts."""

    def check(made: asyncio.Transport) -> None:
        connection = made.get_extra_info("socket")
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert connection.gettimeout() == 0

    assert serve(check, ends[0]) == []


def test_a_connection_that_its_client_has_reset_is_over_once_closed(
    serve: Callable[..., list[str]], ends: tuple[socket.socket, socket.socket]
) -> None:
    """asyncio counted it for ever: the end of the service waited for it in vain, for three seconds."""
    ours, client = ends

    def reset(_: asyncio.Transport) -> None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        client.close()

    assert serve(reset, ours) == []


def test_other_systems_keep_their_own_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """uvloop is the quicker one where it runs."""
    monkeypatch.setattr("sys.platform", "linux")
    assert windows_loop.factory_or(asyncio.SelectorEventLoop) is asyncio.SelectorEventLoop
