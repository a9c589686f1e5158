"""Connection limits of the HTTP server: deadlines for request heads and sending, and a maximum number."""

import asyncio
from collections import OrderedDict
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from supervisor.platform.lingering_close import LingeringTransport

HEAD_TIMEOUT_S = 10.0  # for all of a request's head, so that a client that trickles it is closed too
SEND_TIMEOUT_S = 60.0  # without a byte that the client takes
MOST_CONNECTIONS = 8192
RESERVED_FILES = 64  # descriptors for workers, pipes and photos


class ConnectionLimits:
    """The open connections, at most `max_connections`: beyond that, the longest idle one is closed.

    A connection is idle while no request of its is in progress, half a head included.
    """

    def __init__(
        self,
        max_connections: int,
        head_timeout_s: float = HEAD_TIMEOUT_S,
        send_timeout_s: float = SEND_TIMEOUT_S,
    ) -> None:
        self.max_connections = max_connections
        self.head_timeout_s = head_timeout_s
        self.send_timeout_s = send_timeout_s
        self._idle: OrderedDict[LimitedProtocol, None] = OrderedDict()  # the oldest first
        self._busy: set[LimitedProtocol] = set()

    def __len__(self) -> int:
        """Return the number of open connections."""
        return len(self._idle) + len(self._busy)

    def add(self, connection: "LimitedProtocol") -> None:
        """Count a new connection; close the oldest idle one beyond the limit, else the new one."""
        if len(self) >= self.max_connections:
            oldest = next(iter(self._idle), connection)
            self.remove(oldest)
            oldest.transport.abort()
            if oldest is connection:
                return
        self._idle[connection] = None

    def mark_busy(self, connection: "LimitedProtocol") -> None:
        """Take a connection with a request out of the idle ones."""
        if connection in self._idle:
            del self._idle[connection]
            self._busy.add(connection)

    def mark_idle(self, connection: "LimitedProtocol") -> None:
        """Put a connection behind the other idle ones."""
        if connection in self._busy:
            self._busy.discard(connection)
            self._idle[connection] = None

    def remove(self, connection: "LimitedProtocol") -> None:
        """Remove a closed connection."""
        self._idle.pop(connection, None)
        self._busy.discard(connection)

    def make_protocol(self, *arguments: Any, **named: Any) -> "LimitedProtocol":  # noqa: ANN401  # uvicorn's
        """Return the protocol of a new connection; a factory for uvicorn's `http` setting."""
        protocol = LimitedProtocol(*arguments, **named)
        protocol.limits = self
        return protocol


class LimitedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol with the connection limits."""

    limits: ConnectionLimits
    _lingering: LingeringTransport
    _head_timer: asyncio.TimerHandle | None = None
    _send_timer: asyncio.TimerHandle | None = None
    _unsent_bytes = 0

    @property
    def _in_request(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Count the connection, and start the timeout of its first request head."""
        self._lingering = LingeringTransport(transport, self._has_unread_body)
        super().connection_made(cast("asyncio.Transport", self._lingering))
        self._start_head_timer()
        self.limits.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the connection from the limits, and stop its timers."""
        super().connection_lost(exc)
        self.limits.remove(self)
        self._cancel_head_timer()
        self._cancel_send_timer()

    def data_received(self, data: bytes) -> None:
        """Receive data; a request head that is incomplete must be completed before its timeout."""
        if self._lingering.lingers:
            self._discard()
            return
        super().data_received(data)
        if self._in_request:
            self._cancel_head_timer()
            self.limits.mark_busy(self)
        elif self._head_timer is None:
            self._start_head_timer()
        if not self._in_request and self._has_unread_body():
            self._discard()

    def _has_unread_body(self) -> bool:
        return self.conn.their_state is h11.SEND_BODY

    def _discard(self) -> None:
        """Read the rest of a body that was answered before its end in turns with other connections.

        uvloop would read 8 MB of each such connection at a time.
        """
        self.flow.pause_reading()
        self.loop.call_soon(self.flow.resume_reading)

    def on_response_complete(self) -> None:
        """Mark the connection idle, unless its next request has arrived already."""
        super().on_response_complete()
        if not self._in_request:
            self.limits.mark_idle(self)

    def pause_writing(self) -> None:
        """Start the timeout of a client that does not read."""
        super().pause_writing()
        self._cancel_send_timer()
        self._watch_sending()

    def resume_writing(self) -> None:
        """Cancel the timeout: the client has read."""
        super().resume_writing()
        self._cancel_send_timer()

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(self.limits.head_timeout_s, self.transport.abort)

    def _cancel_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _watch_sending(self) -> None:
        self._unsent_bytes = self.transport.get_write_buffer_size()
        self._send_timer = self.loop.call_later(self.limits.send_timeout_s, self._check_sending)

    def _check_sending(self) -> None:
        """Close the connection unless the client has read something since the last check."""
        if self.transport.get_write_buffer_size() < self._unsent_bytes:
            self._watch_sending()
        else:
            self.transport.abort()

    def _cancel_send_timer(self) -> None:
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None


def compute_max_connections() -> int:
    """Return the number of connections that leaves file descriptors for everything else."""
    try:
        import resource  # noqa: PLC0415  # POSIX only
    except ImportError:
        return MOST_CONNECTIONS
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(8, min(MOST_CONNECTIONS, soft - max(RESERVED_FILES, soft // 4)))
