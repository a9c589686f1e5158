"""What is near this machine, however public its address looks."""

import socket
from types import SimpleNamespace

import psutil
import pytest

from supervisor.net.own_networks import is_on_own_network, network_of
from supervisor.net.public_addresses import is_elsewhere


@pytest.fixture(autouse=True)
def interfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a public address of each kind, as servers and all of IPv6 have them."""

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


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "93.184.219.1", "2a00:1450:4001:8::77", "2a00:1450:4001:8::1"]
)
def test_an_address_of_this_machine_or_its_neighbour_is_not_fetched_from(address: str) -> None:
    """From here it is reached behind the firewall: a router's or a printer's pages among them."""
    assert is_on_own_network(address)
    assert not is_elsewhere(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.220.1", "2a00:1450:4001:9::1"])
def test_whatever_lies_further_away_is_fetched_from(address: str) -> None:
    """The rest of a provider's addresses are the internet as any other."""
    assert is_elsewhere(address)


@pytest.mark.parametrize(
    ("address", "netmask", "network"),
    [
        ("2a00::1%12", None, "2a00::/64"),
        ("93.184.216.34", None, "93.184.216.34/32"),
        ("93.184.216.34", "0.0.0.0", "93.184.216.34/32"),  # noqa: S104  # a mask
    ],
    ids=["a system that tells no mask", "of IPv4 neither", "a tunnel to everywhere"],
)
def test_a_mask_that_is_not_told_shuts_out_no_more_than_it_must(
    address: str, netmask: str | None, network: str
) -> None:
    """Windows tells none of IPv6; some tunnels have the whole internet for a network."""
    assert str(network_of(address, netmask)) == network
