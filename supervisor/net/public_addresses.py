"""Connections to the public internet, and to nothing nearer: no stranger reaches into this service's network.

The check that counts is made on the address a socket is about to connect to. A name is resolved here, once
for each connection; every candidate is checked; and the checked address, no longer the name, is connected to.
So no redirect, no odd spelling of an address and no second, different DNS answer gets around it.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import IPv4Address, ip_address, ip_network

import httpcore2

from shared.errors import UrlFailed, UrlRefused
from supervisor.net.own_networks import is_on_own_network

# IANA's special-purpose registries, spelled out: what `ipaddress.is_global` makes of them differs between
# Python's releases, and in some it calls multicast, 6to4 or fec0::/10 global.
_NOT_PUBLIC = tuple(
    ip_network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
        *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        "168.63.129.16/32",  # in nobody's registry: Azure's host, for each machine in it
        # Protocol assignments (Teredo among them), documentation, 6to4, documentation again.
        *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
    )
)
# All that is allocated as global unicast. Loopback, private, link-local, multicast and, above all, whatever
# embeds an IPv4 address (mapped, compatible, translated, NAT64) lie outside of it.
_GLOBAL_UNICAST_V6 = ip_network("2000::/3")
# The interface identifiers of ISATAP, the one embedding that can occur under anyone's prefix.
_ISATAP = (bytes.fromhex("00005efe"), bytes.fromhex("02005efe"))


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


def is_elsewhere(address: str) -> bool:
    """Whether `address` is public, and not of a network that this machine itself is in."""
    return is_public(address) and not is_on_own_network(address)


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
        allow: Callable[[str], bool] = is_elsewhere,
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
