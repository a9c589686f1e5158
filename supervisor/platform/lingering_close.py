"""Lingering close: reads what a client still sends of a request that is answered already, then closes.

A connection that is closed with unread data is reset, and the reset may overtake the answer: the client, or a
proxy in front of the service, reports a lost connection in its place.

Source: RFC 9112, 9.6.
"""

import asyncio
from collections.abc import Callable
from typing import Any

LINGER_S = 2.0


class LingeringTransport:
    """A transport whose `close` ends the sending side first, while `has_unread` says that data will come."""

    def __init__(self, transport: asyncio.Transport, has_unread: Callable[[], bool]) -> None:
        self._transport = transport
        self._has_unread = has_unread
        self.lingers = False

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # all that a transport has
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Whether nothing more is sent."""
        return self.lingers or self._transport.is_closing()

    def close(self) -> None:
        """Close the connection; with unread data, when the client has closed its side, or after a while."""
        if self.lingers:
            return
        if self._transport.is_closing() or not self._has_unread():
            self._transport.close()
            return
        self.lingers = True
        self._transport.write_eof()
        self._transport.resume_reading()  # which is paused while the application does not take the body
        asyncio.get_running_loop().call_later(LINGER_S, self._transport.close)
