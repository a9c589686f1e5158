"""SSRF protection: which IP addresses the service may connect to for a client."""

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address
from types import SimpleNamespace

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.net.ssrf_protection import compute_subnet, is_on_attached_network, is_public, is_remote

PUBLIC = {
    "dns server": "8.8.8.8",
    "dns server, ipv6": "2606:4700:4700::1111",
    "europe, ipv6": "2a00:1450:4001:81b::200e",
    "just below 10/8": "9.255.255.255",
    "just above 10/8": "11.0.0.0",
    "just below 100.64/10": "100.63.255.255",
    "just above 100.64/10": "100.128.0.0",
    "just below 172.16/12": "172.15.255.255",
    "just above 172.16/12": "172.32.0.0",
    "just above 192.168/16": "192.169.0.0",
    "just below multicast": "223.255.255.255",
    "just above 2001::/23": "2001:200::1",
    "just below 6to4": "2001:ffff::1",
    "just above 6to4": "2003::1",
    "upper case": "2A00:1450::1",
}

NOT_PUBLIC = {
    "loopback": "127.0.0.1",
    "loopback, its far end": "127.255.255.254",
    "loopback, ipv6": "::1",
    "unspecified": "0.0.0.0",  # noqa: S104 - never bound
    "this network": "0.1.2.3",
    "unspecified, ipv6": "::",
    "private 10/8": "10.0.0.1",
    "private 172.16/12": "172.31.255.255",
    "private 192.168/16": "192.168.1.1",
    "private, ipv6": "fd00::1",
    "carrier-grade nat": "100.64.0.1",
    "link-local": "169.254.1.1",
    "cloud metadata": "169.254.169.254",
    "cloud metadata, ipv6": "fd00:ec2::254",
    "cloud host": "168.63.129.16",
    "link-local, ipv6": "fe80::1",
    "site-local": "fec0::1",
    "zone id": "fe80::1%eth0",
    "zone id on a public address": "2606:4700:4700::1111%eth0",
    "protocol assignments": "192.0.0.8",
    "port control anycast": "192.0.0.9",
    "documentation": "192.0.2.1",
    "documentation, second": "198.51.100.1",
    "documentation, third": "203.0.113.1",
    "documentation, ipv6": "2001:db8::1",
    "documentation, ipv6, second": "3fff::1",
    "6to4 relay": "192.88.99.1",
    "benchmarking": "198.18.0.1",
    "benchmarking, ipv6": "2001:2::1",
    "multicast": "224.0.0.1",
    "multicast, scoped": "239.255.255.250",
    "multicast, ipv6": "ff02::1",
    "multicast, ipv6, global scope": "ff0e::1",
    "reserved": "240.0.0.1",
    "broadcast": "255.255.255.255",
    "discard-only": "100::1",
    "segment routing": "5f00::1",
    "unallocated, below": "1fff::1",
    "unallocated, above": "4000::1",
    "mapped loopback": "::ffff:127.0.0.1",
    "mapped loopback, in hex": "::ffff:7f00:1",
    "mapped public": "::ffff:8.8.8.8",
    "compatible loopback": "::127.0.0.1",
    "translated loopback": "::ffff:0:127.0.0.1",
    "nat64 loopback": "64:ff9b::127.0.0.1",
    "nat64 private": "64:ff9b::10.0.0.1",
    "local nat64": "64:ff9b:1::10.0.0.1",
    "6to4 loopback": "2002:7f00:1::1",
    "6to4 private": "2002:c0a8:101::1",
    "teredo": "2001:0:7f00:1::1",
    "isatap": "2a00:1450::5efe:10.0.0.1",
    "isatap, universal bit": "2a00:1450::200:5efe:10.0.0.1",
    "name": "localhost",
    "decimal": "2130706433",
    "octal": "0177.0.0.1",
    "short": "127.1",
    "brackets": "[::1]",
    "network": "8.8.8.0/24",
    "nothing": "",
}

PRIVATE_NETWORKS = [
    IPv4Network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.168.0.0/16", "224.0.0.0/4", "240.0.0.0/4"),
    )
]


@pytest.mark.parametrize("address", PUBLIC.values(), ids=PUBLIC.keys())
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", NOT_PUBLIC.values(), ids=NOT_PUBLIC.keys())
def test_special_purpose_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)


def embeddings(ip: IPv4Address) -> list[IPv6Address]:
    """Return every known IPv6 address that embeds an IPv4 address."""
    low = int(ip)
    high_bits = {
        "compatible": 0,
        "mapped": 0xFFFF << 32,
        "translated": 0xFFFF << 48,
        "nat64": 0x0064FF9B << 96,
        "local nat64": 0x0064FF9B0001 << 80,
        "isatap": (0x2A001450 << 96) | (0x5EFE << 32),
        "isatap, universal bit": (0x2A001450 << 96) | (0x02005EFE << 32),
    }
    return [
        *(IPv6Address(high | low) for high in high_bits.values()),
        IPv6Address((0x2002 << 112) | (low << 80) | 1),  # 6to4
        IPv6Address((0x20010000 << 96) | (low << 64) | 1),  # Teredo's server
        IPv6Address((0x20010000 << 96) | (0x08080808 << 64) | (low ^ 0xFFFFFFFF)),  # Teredo's client
    ]


@given(st.sampled_from(PRIVATE_NETWORKS).flatmap(lambda network: st.ip_addresses(network=network)))
def test_no_private_address_becomes_public_by_being_embedded_in_ipv6(ip: IPv4Address) -> None:
    assert not is_public(str(ip))
    assert [str(embedded) for embedded in embeddings(ip) if is_public(str(embedded))] == []


@given(st.ip_addresses() | st.ip_addresses(network="2000::/3"))
def test_every_public_address_is_global_to_python_too(ip: IPv4Address | IPv6Address) -> None:
    if is_public(str(ip)):
        assert ip.is_global
        for special in ("is_private", "is_multicast", "is_reserved", "is_loopback", "is_link_local"):
            assert not getattr(ip, special)


@given(st.text() | st.from_regex(r"\A[0-9a-fA-F:.%\[\]]{0,45}\Z"))
def test_other_text_is_not_public_and_raises_nothing(text: str) -> None:
    if is_public(text):
        assert ip_address(text).is_global


@pytest.fixture
def interfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Network interfaces with public addresses, as servers and most IPv6 hosts have."""

    def address(family: int, text: str, netmask: str | None) -> SimpleNamespace:
        return SimpleNamespace(family=family, address=text, netmask=netmask)

    found = {
        "lo": [address(socket.AF_INET, "127.0.0.1", "255.0.0.0")],
        "eth0": [
            address(psutil.AF_LINK, "02:42:ac:11:00:02", None),
            address(socket.AF_INET, "93.184.216.34", "255.255.252.0"),
            address(socket.AF_INET6, "2a00:1450:4001:8::77", "ffff:ffff:ffff:ffff::"),
            address(socket.AF_INET6, "fe80::1%eth0", "ffff:ffff:ffff:ffff::"),
        ],
    }
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: found)


@pytest.mark.usefixtures("interfaces")
@pytest.mark.parametrize(
    "address", ["93.184.216.34", "93.184.219.1", "2a00:1450:4001:8::77", "2a00:1450:4001:8::1"]
)
def test_addresses_of_attached_networks_are_not_remote(address: str) -> None:
    """From here they are reached behind the firewall, such as the web interface of a router or printer."""
    assert is_on_attached_network(address)
    assert not is_remote(address)


@pytest.mark.usefixtures("interfaces")
@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.220.1", "2a00:1450:4001:9::1"])
def test_public_addresses_outside_of_attached_networks_are_remote(address: str) -> None:
    """A provider's other subnets are part of the public internet."""
    assert is_remote(address)


@pytest.mark.parametrize(
    ("address", "netmask", "network"),
    [
        ("2a00::1%12", None, "2a00::/64"),
        ("93.184.216.34", None, "93.184.216.34/32"),
        ("93.184.216.34", "0.0.0.0", "93.184.216.34/32"),  # noqa: S104  # a mask
    ],
    ids=["no netmask for IPv6", "no netmask for IPv4", "a tunnel with mask 0.0.0.0"],
)
def test_a_missing_netmask_excludes_as_little_as_possible(
    address: str, netmask: str | None, network: str
) -> None:
    """Windows reports no netmask for IPv6; some VPN tunnels report 0.0.0.0."""
    assert str(compute_subnet(address, netmask)) == network
