"""Event loop for Windows that works around three faults of asyncio's proactor loop (python/cpython#93821).

That loop closes the listening socket when a client resets its connection while it is accepted, does not set
TCP_NODELAY, and never finishes closing a connection that its client has reset. Remove when all are fixed.
"""

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Awaitable, Callable

RETRY_DELAY_S = 0.1  # against a busy loop if every accept fails, as when the system is out of handles
Address = tuple[str, int] | tuple[str, int, int, int]
LoopFactory = Callable[[], asyncio.AbstractEventLoop]
log = logging.getLogger("supervisor")


def choose_loop_factory(default: LoopFactory | None) -> LoopFactory | None:
    """Return the event loop factory: on Windows one with the workarounds, elsewhere `default`."""
    if sys.platform == "win32":

        class Proactor(asyncio.IocpProactor):
            def accept(self, listener: socket.socket) -> asyncio.Future[tuple[socket.socket, Address]]:
                return asyncio.ensure_future(accept_with_retry(super().accept, listener))

        return lambda: asyncio.ProactorEventLoop(Proactor())
    return default


class Connection(socket.socket):
    """Socket whose shutdown does not fail after a reset by the client."""

    def shutdown(self, how: int) -> None:
        """Shut down one or both directions; ignores the error of a connection that was reset."""
        with contextlib.suppress(OSError):
            super().shutdown(how)


async def accept_with_retry(
    accept: Callable[[socket.socket], Awaitable[tuple[socket.socket, Address]]], listener: socket.socket
) -> tuple[socket.socket, Address]:
    """Return the next accepted connection; retries failed accepts while `listener` is open."""
    while True:
        try:
            accepted, address = await accept(listener)
            return _to_connection(accepted), address
        except OSError as error:
            if listener.fileno() == -1:
                raise
            log.warning("connection not accepted", extra={"reason": str(error)})
            await asyncio.sleep(RETRY_DELAY_S)


def _to_connection(accepted: socket.socket) -> Connection:
    """Convert to a Connection with TCP_NODELAY, which asyncio sets only if `proto` is IPPROTO_TCP."""
    connection = Connection(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
    connection.settimeout(0)
    with contextlib.suppress(OSError):  # reset already: the first read reports it
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection
