"""Fetch an image by its URL without letting a stranger reach into this service's own network.

The check that counts is made on the address a socket is about to connect to. A name is resolved here, once
for each connection; every candidate is checked; and the checked address, no longer the name, is connected to.
So no redirect, no odd spelling of an address and no second, different DNS answer gets around it.
"""

import asyncio
import re
import socket
import ssl
import unicodedata
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing, contextmanager
from io import BufferedWriter
from ipaddress import IPv4Address, ip_address, ip_network
from pathlib import Path

import httpcore2
import httpx2

from shared.errors import UploadTooLarge, UrlFailed, UrlRefused

# IANA's special-purpose registries, spelled out: what `ipaddress.is_global` makes of them differs between
# Python's releases, and in some it calls multicast, 6to4 or fec0::/10 global.
_NOT_PUBLIC = tuple(
    ip_network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
        *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        # Protocol assignments (Teredo among them), documentation, 6to4, documentation again.
        *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
    )
)
# All that is allocated as global unicast. Loopback, private, link-local, multicast and, above all, whatever
# embeds an IPv4 address (mapped, compatible, translated, NAT64) lie outside of it.
_GLOBAL_UNICAST_V6 = ip_network("2000::/3")
# The interface identifiers of ISATAP, the one embedding that can occur under anyone's prefix.
_ISATAP = (bytes.fromhex("00005efe"), bytes.fromhex("02005efe"))

_HEADERS = ((b"User-Agent", b"bgremove/1"), (b"Accept", b"image/*"), (b"Accept-Encoding", b"identity"))
_REDIRECTS = {301, 302, 303, 307, 308}
_MAX_URL = 2048
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Stricter than RFC 3986: no percent signs (zone ids), no labels that neither DNS nor TLS can carry.
_HOST = re.compile(r"[0-9a-f:.]*:[0-9a-f:.]*|[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?", re.IGNORECASE)
# For one address of possibly several, so that a dead one leaves the others some of the overall time.
_CONNECT_TIMEOUT_S = 10.0


def is_public(address: str) -> bool:
    """Whether `address` belongs to the public internet, and to nothing nearer."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if any(ip in network for network in _NOT_PUBLIC):
        return False
    if isinstance(ip, IPv4Address):
        return True
    return ip in _GLOBAL_UNICAST_V6 and ip.scope_id is None and ip.packed[8:12] not in _ISATAP


async def resolve(host: str, port: int) -> list[str]:
    """Return every address of `host`; this also reads the spellings 2130706433, 0177.1 and 0x7f.1."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as problem:
        raise UrlFailed("The host in the image's address is not known.") from problem
    return [str(sockaddr[0]) for *_, sockaddr in found]


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Opens connections, each to an address that `allow` has seen, and to nothing else."""

    def __init__(
        self,
        allow: Callable[[str], bool] = is_public,
        resolve: Callable[[str, int], Awaitable[list[str]]] = resolve,
    ) -> None:
        self._allow = allow
        self._resolve = resolve
        self._tcp = httpcore2.AnyIOBackend()
        self._opened: list[httpcore2.AsyncNetworkStream] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface's
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        failure: Exception = UrlRefused("This service fetches only from addresses on the public internet.")
        for address in filter(self._allow, await self._resolve(host, port)):
            try:
                stream = await self._tcp.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as problem:
                failure = problem
            else:
                self._opened.append(stream)
                return stream
        raise failure

    async def aclose(self) -> None:
        """Close what the pool loses sight of: a connection cancelled in the middle of its TLS handshake."""
        for stream in self._opened:
            await stream.aclose()
        self._opened.clear()


async def fetch(
    url: str,
    destination: Path,
    *,
    max_bytes: int,
    timeout_s: float = 30.0,
    allow_private: bool = False,
    max_redirects: int = 5,
) -> str:
    """Write the image at `url` to `destination` and return a name for it; on failure leave no file.

    Raises UrlRefused, UrlFailed or UploadTooLarge; an OSError is the disk's, not the network's.
    `allow_private` drops the check of addresses, and nothing else.
    """
    backend = GuardedBackend(allow=lambda _: True) if allow_private else GuardedBackend()
    return await fetch_through(
        backend, url, destination, max_bytes=max_bytes, timeout_s=timeout_s, max_redirects=max_redirects
    )


def check_url(url: str) -> None:
    """Raise UrlRefused for a URL that no fetch would try, whatever its host resolves to."""
    _target(url)


async def fetch_through(
    backend: GuardedBackend,
    url: str,
    destination: Path,
    *,
    max_bytes: int,
    timeout_s: float = 30.0,
    max_redirects: int = 5,
) -> str:
    """Do what `fetch` does, over connections that `backend` opens."""
    target = _target(url)
    try:
        async with asyncio.timeout(timeout_s) as deadline:
            # Reading the machine's certificates takes long enough for others on the event loop to notice.
            tls = await asyncio.to_thread(httpcore2.default_ssl_context)
            try:
                async with httpcore2.AsyncConnectionPool(ssl_context=tls, network_backend=backend) as pool:
                    return await _follow(pool, target, destination, max_bytes, max_redirects)
            finally:
                await backend.aclose()
    except TimeoutError as problem:
        if not deadline.expired():  # then it is the disk's: ETIMEDOUT
            raise
        raise UrlFailed("The image's server took too long to send it.") from problem
    except (httpcore2.ConnectError, httpcore2.TimeoutException) as problem:
        if any(isinstance(cause, ssl.SSLError) for cause in problem.args):
            raise UrlFailed("No secure connection to the image's server could be made.") from problem
        raise UrlFailed("The image's server could not be reached.") from problem
    except (httpcore2.NetworkError, httpcore2.ProtocolError, ssl.SSLError) as problem:
        raise UrlFailed("The image's server broke off or sent something that is not HTTP.") from problem


async def _follow(
    pool: httpcore2.AsyncConnectionPool,
    target: httpx2.URL,
    destination: Path,
    max_bytes: int,
    max_redirects: int,
) -> str:
    for _ in range(1 + max_redirects):
        where = httpcore2.URL(
            scheme=target.raw_scheme, host=target.raw_host, port=target.port, target=target.raw_path
        )
        # Host is set by hand because the pool's own would lack an IPv6 literal's brackets.
        sent = [(b"Host", target.netloc), *_HEADERS]
        limits = {"timeout": {"connect": _CONNECT_TIMEOUT_S}}
        async with pool.stream("GET", where, headers=sent, extensions=limits) as response:
            headers = httpx2.Headers(response.headers)
            if response.status not in _REDIRECTS or "location" not in headers:
                _check_answer(response.status, headers, max_bytes)
                await _save(response, destination, max_bytes)
                return _file_name(target)
            target = _target(headers["location"], base=target)
    raise UrlFailed("The image's address redirects too often.")


def _target(reference: str, base: httpx2.URL | None = None) -> httpx2.URL:
    """Return what `reference` names, a redirect's being relative to `base`, if it may be asked for at all."""
    if len(reference) > _MAX_URL or _CONTROL.search(reference):
        raise UrlRefused(f"An image's address has at most {_MAX_URL} characters and no control characters.")
    try:
        url = base.join(reference) if base else httpx2.URL(reference)
    except (httpx2.InvalidURL, ValueError) as problem:
        raise UrlRefused("The image's address is not a valid URL.") from problem
    if url.scheme not in {"http", "https"}:
        raise UrlRefused("An image's address must begin with http:// or https://.")
    if base and (base.scheme, url.scheme) == ("https", "http"):
        raise UrlRefused("The image's address redirects from https to http.")
    if url.userinfo:
        raise UrlRefused("An image's address must not contain a user name or password.")
    if not _HOST.fullmatch(url.raw_host.decode()) or not (url.port is None or 0 < url.port < 65536):
        raise UrlRefused("The image's address does not name a host that can be asked.")
    return url


def _check_answer(status: int, headers: httpx2.Headers, max_bytes: int) -> None:
    if status != 200:
        raise UrlFailed(f"The image's server answered with status {status}.")
    if headers.get("content-encoding", "").strip().lower() not in {"", "identity"}:
        raise UrlFailed("The image's server sent it compressed, though asked not to.")
    if int(headers.get("content-length", "0")) > max_bytes:
        raise UploadTooLarge


async def _save(response: httpcore2.Response, destination: Path, max_bytes: int) -> None:
    received = 0
    with _new_file(destination) as file:
        async with aclosing(response.aiter_stream()) as chunks:
            async for chunk in chunks:
                received += len(chunk)
                if received > max_bytes:
                    raise UploadTooLarge
                await asyncio.to_thread(file.write, chunk)


@contextmanager
def _new_file(path: Path) -> Iterator[BufferedWriter]:
    """A file that vanishes unless the block, and closing it, end well."""
    # Buffered, because only that has the lock which lets a cancelled task close it under a thread's write.
    file = path.open("wb")
    try:
        with file:
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _file_name(url: httpx2.URL) -> str:
    last = re.split(r"[/\\]", url.path)[-1]
    # Categories C and Z beyond the plain space: control, invisible, reordering, line-breaking characters.
    kept = (c for c in last if c == " " or (unicodedata.category(c)[0] not in "CZ" and c not in '<>:"|?*'))
    # Cut at the front, which keeps the suffix; file systems count bytes.
    return "".join(kept).encode()[-200:].decode(errors="ignore").strip(" .") or "image"
