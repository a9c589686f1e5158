"""The networks that this machine is in: what lies there is near, however public its address looks."""

import socket
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import psutil

# What one prefix of a site is; some systems do not tell the mask.
_IPV6_LINK_BITS = 64


def is_on_own_network(address: str) -> bool:
    """Whether `address` is one of this machine's, or lies in a network that it has an interface to."""
    ip = ip_address(address)
    return any(ip in network for network in _own_networks())


def _own_networks() -> list[IPv4Network | IPv6Network]:
    return [
        network_of(each.address, each.netmask)
        for addresses in psutil.net_if_addrs().values()
        for each in addresses
        if each.family in (socket.AF_INET, socket.AF_INET6)
    ]


def network_of(address: str, netmask: str | None) -> IPv4Network | IPv6Network:
    """Return the network of an interface's address."""
    ip = ip_address(address.partition("%")[0])
    bits = int(ip_address(netmask)).bit_count() if netmask else 0
    if not bits:  # not told, or the whole internet, as some tunnels have it
        bits = _IPV6_LINK_BITS if ip.version == 6 else ip.max_prefixlen
    return ip_network(f"{ip}/{bits}", strict=False)
