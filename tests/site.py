"""A scripted web server on the loopback interface, and fetches from it that must fail cleanly."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from shared.errors import BgremoveError
from supervisor.net.ssrf_protection import GuardedBackend
from supervisor.net.url_fetch import fetch

BODY = bytes(range(256)) * 800  # more than one read, more than one write buffer
LIMIT = len(BODY)

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Site:
    """What a test's server was asked, and where it listens."""

    port: int = 0
    requests: list[bytes] = field(default_factory=list)

    def url(self, path: str = "/cat.png", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    @property
    def paths(self) -> list[str]:
        return [request.split(b" ")[1].decode() for request in self.requests]


@asynccontextmanager
async def serving(
    pages: dict[str, bytes | Answer], *, tls: ssl.SSLContext | None = None, http: bool = True
) -> AsyncIterator[Site]:
    """Serve scripted pages; leaving waits until the client has let go of every connection.

    Without `http`, the page "" answers the first bytes, whatever they are.
    """
    site = Site()
    handlers: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        site.requests.append(await (reader.readuntil(b"\r\n\r\n") if http else reader.read(4096)))
        page = pages[site.paths[-1] if http else ""]
        if isinstance(page, bytes):
            writer.write(page)
            if writer.can_write_eof():
                writer.write_eof()
        else:
            await page(reader, writer)
        await reader.read()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handlers.add(task)
        try:
            await handle(reader, writer)
        except ConnectionError:
            pass  # the client hung up, as some tests want
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
        async with asyncio.timeout(20):
            await asyncio.gather(*handlers)
    finally:
        server.close()
        await server.wait_closed()


def answer(status: str = "200 OK", body: bytes = BODY, *, length: int | None = None, also: str = "") -> bytes:
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\n{also}\r\n".encode() + body


def redirect(location: str, status: str = "302 Found") -> bytes:
    return answer(status, b"elsewhere", also=f"Location: {location}\r\n")


async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.005)


async def silence(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    pass


def anywhere() -> GuardedBackend:
    """Return what connects to this machine too."""
    return GuardedBackend(allow=lambda _: True)


async def get(url: str, destination: Path, **options: Any) -> str:
    limits: dict[str, Any] = {"max_bytes": LIMIT, "backend": anywhere(), **options}
    return await fetch(url, destination, **limits)


def exists(path: Path) -> bool:
    return path.exists()


async def failing(kind: type[BgremoveError], fetching: Coroutine[Any, Any, str], destination: Path) -> str:
    """Await a fetch that must fail, leave no file, and tell a person nothing about the inside."""
    with pytest.raises(kind) as caught:
        await fetching
    assert type(caught.value) is kind
    assert not exists(destination)
    for inside in ("127.0.0", "::", "10.0.0", "Errno", "Error", str(destination.parent)):
        assert inside not in caught.value.detail
    return caught.value.detail


def pictures_example() -> GuardedBackend:
    """Return what takes every name for this machine's."""

    async def resolve(_: str, __: int) -> list[str]:
        return ["127.0.0.1"]

    return GuardedBackend(allow=lambda _: True, resolve=resolve)
