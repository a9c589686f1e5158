"""The body of a request that is answered before its end: discarded in turns with other connections."""

import asyncio
from typing import Any, cast

import uvicorn
from uvicorn.server import ServerState

from supervisor.platform.connection_limits import ConnectionLimits, LimitedProtocol


class RecordingTransport(asyncio.Transport):
    """Records what is sent and whether reading is paused."""

    def __init__(self) -> None:
        super().__init__()
        self.is_paused, self.pauses = False, 0
        self.has_sent = asyncio.Event()

    def pause_reading(self) -> None:
        """Pause."""
        self.is_paused = True
        self.pauses += 1

    def resume_reading(self) -> None:
        """Resume."""
        self.is_paused = False

    def write(self, data: Any) -> None:
        """Record."""
        if data:
            self.has_sent.set()

    def get_write_buffer_size(self) -> int:
        """Return 0."""
        return 0

    def set_protocol(self, protocol: object) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def is_closing(self) -> bool:
        """Return False."""
        return False


async def refuse(_scope: object, _receive: object, send: Any) -> None:
    """Answer every request without reading its body."""
    await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def connect() -> tuple[LimitedProtocol, RecordingTransport]:
    """Return a connection. On a running loop."""
    config = uvicorn.Config(cast("Any", refuse), log_config=None)
    config.load()
    state = ServerState()
    protocol = ConnectionLimits(10).make_protocol(config=config, server_state=state, app_state={})
    transport = RecordingTransport()
    protocol.connection_made(transport)
    return protocol, transport


def test_one_piece_of_a_discarded_body_is_read_per_turn_of_the_loop() -> None:
    """The loop would read megabytes of each such connection before it came to the next one."""

    async def act() -> None:
        protocol, transport = connect()
        protocol.data_received(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n")
        await transport.has_sent.wait()
        await asyncio.sleep(0)
        transport.pauses = 0
        for number in range(1, 4):
            protocol.data_received(bytes(100_000))
            assert (transport.is_paused, transport.pauses) == (True, number)
            await asyncio.sleep(0)
            assert not transport.is_paused
        protocol.data_received(bytes(100_000))  # the end
        await asyncio.sleep(0)
        transport.has_sent.clear()
        transport.pauses = 0
        protocol.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await transport.has_sent.wait()
        assert (transport.is_paused, transport.pauses) == (False, 0)
        protocol.connection_lost(None)

    asyncio.run(asyncio.wait_for(act(), 10))
