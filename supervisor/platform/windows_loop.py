"""The event loop on Windows, whose own way of accepting connections fails a server (python/cpython#93821).

There, asyncio closes the listening socket for good when a client resets its connection at the wrong moment,
never turns Nagle's delay off, and counts a connection for ever whose client had reset it before the end.
"""

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Awaitable, Callable

PAUSE_S = 0.1  # in case that no connection at all can be accepted, as when the system is out of handles
Address = tuple[str, int] | tuple[str, int, int, int]
LoopFactory = Callable[[], asyncio.AbstractEventLoop]
log = logging.getLogger("supervisor")


def factory_or(elsewhere: LoopFactory | None) -> LoopFactory | None:
    """Return what makes the event loop: on Windows one that goes on accepting, elsewhere `elsewhere`."""
    if sys.platform == "win32":

        class Proactor(asyncio.IocpProactor):
            def accept(self, listener: socket.socket) -> asyncio.Future[tuple[socket.socket, Address]]:
                return asyncio.ensure_future(accepted(super().accept, listener))

        return lambda: asyncio.ProactorEventLoop(Proactor())
    return elsewhere


class Connection(socket.socket):
    """A socket that can be shut down after its client has reset it."""

    def shutdown(self, how: int) -> None:
        """End one or both directions; one that was ended by the client is none to complain of."""
        with contextlib.suppress(OSError):
            super().shutdown(how)


async def accepted(
    accept: Callable[[socket.socket], Awaitable[tuple[socket.socket, Address]]], listener: socket.socket
) -> tuple[socket.socket, Address]:
    """Return the next connection that `accept` brings, past those that fail while `listener` is open."""
    while True:
        try:
            made, address = await accept(listener)
            return _without_delay(made), address
        except OSError as error:
            if listener.fileno() == -1:
                raise
            log.warning("a connection could not be accepted", extra={"reason": str(error)})
            await asyncio.sleep(PAUSE_S)


def _without_delay(made: socket.socket) -> Connection:
    """Return the same connection as one of ours. asyncio leaves those alone that do not say they are TCP."""
    connection = Connection(made.family, made.type, made.proto, fileno=made.detach())
    connection.settimeout(0)
    with contextlib.suppress(OSError):  # reset already, as whoever reads it will see
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection
