"""SSRF protection: connects to hosts on the public internet only.

Server-side request forgery: a client's URL must not reach the networks of this service. The check is made on
the IP address that a socket is about to connect to. Each connection resolves the host name once, checks every
address, and connects to a checked address, not to the name. So redirects, unusual spellings of an address and
DNS rebinding (a second, different DNS answer) cannot bypass the check.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address, ip_network

import httpcore2
import psutil

from shared.errors import UrlFailed, UrlRefused

# IANA's special-purpose address registries, listed here because `ipaddress.is_global` differs between Python
# releases; some call multicast, 6to4 or fec0::/10 global.
_SPECIAL_NETWORKS = tuple(
    ip_network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
        *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        "168.63.129.16/32",  # in no registry: Azure's virtual host address, reachable from every Azure VM
        # Protocol assignments (Teredo among them), documentation, 6to4, documentation again.
        *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
    )
)
# All allocated global unicast addresses. Loopback, private, link-local and multicast addresses are outside of
# it, and so are those that embed an IPv4 address (mapped, compatible, translated, NAT64).
_GLOBAL_UNICAST_V6 = ip_network("2000::/3")
# Interface identifiers of ISATAP (RFC 5214): the one IPv4 embedding that can occur under any prefix.
_ISATAP = (bytes.fromhex("00005efe"), bytes.fromhex("02005efe"))
# Threads of its own: name servers that never answer would otherwise hold those that uploads are saved on.
_RESOLVERS = ThreadPoolExecutor(16, "resolver")
_IPV6_SUBNET_BITS = 64  # for interfaces whose system does not report a netmask


def is_public(address: str) -> bool:
    """Whether `address` is a globally routable IP address, by the IANA registries."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if any(ip in network for network in _SPECIAL_NETWORKS):
        return False
    if isinstance(ip, IPv4Address):
        return True
    return ip in _GLOBAL_UNICAST_V6 and ip.scope_id is None and ip.packed[8:12] not in _ISATAP


def is_remote(address: str) -> bool:
    """Whether `address` is public and outside of this machine's directly attached networks."""
    return is_public(address) and not is_on_attached_network(address)


def is_on_attached_network(address: str) -> bool:
    """Whether `address` is this machine's own or in the subnet of one of its network interfaces."""
    ip = ip_address(address)
    return any(ip in network for network in _list_attached_networks())


def _list_attached_networks() -> list[IPv4Network | IPv6Network]:
    return [
        compute_subnet(entry.address, entry.netmask)
        for entries in psutil.net_if_addrs().values()
        for entry in entries
        if entry.family in (socket.AF_INET, socket.AF_INET6)
    ]


def compute_subnet(address: str, netmask: str | None) -> IPv4Network | IPv6Network:
    """Return the subnet of an interface, given its address and netmask."""
    ip = ip_address(address.partition("%")[0])
    bits = int(ip_address(netmask)).bit_count() if netmask else 0
    if not bits:  # no netmask reported, or 0.0.0.0, as some VPN tunnels have
        bits = _IPV6_SUBNET_BITS if ip.version == 6 else ip.max_prefixlen
    return ip_network(f"{ip}/{bits}", strict=False)


async def resolve(host: str, port: int) -> list[str]:
    """Return every IP address of `host`; reads spellings such as 2130706433 and 0x7f.1. Raises UrlFailed."""
    try:
        found = await asyncio.get_running_loop().run_in_executor(
            _RESOLVERS, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
    except OSError as problem:
        raise UrlFailed("The host in the URL is not known: check its spelling.") from problem
    return [str(sockaddr[0]) for *_, sockaddr in found]


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Network backend for httpcore that connects only to IP addresses which `allow` accepts."""

    def __init__(
        self,
        allow: Callable[[str], bool] = is_remote,
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
        failure: Exception = UrlRefused(
            "This service fetches from public addresses only: BGREMOVE_URL_ALLOW_PRIVATE allows others."
        )
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
        """Close all streams: the pool does not close one that is cancelled during its TLS handshake."""
        for stream in self._opened:
            await stream.aclose()
        self._opened.clear()
