from __future__ import annotations

from typing import Any

import pytest

from netloom.dhcp.settings import DhcpOptions, check_request, client_id, gateway, outside
from netloom.model.errors import InvalidArgument, NetloomError
from netloom.model.lease import Terms
from netloom.model.network import IpamConfig, Network, NetworkRequest


def network(**fields: Any) -> Network:
    return Network(id="n", name="lan", created=0, driver="macvlan", number=1, ipam_driver="dhcp", **fields)


def terms(address: str, **fields: Any) -> Terms:
    return Terms(address=address, server="10.0.0.1", seconds=60, t1=30, t2=50, **fields)


def request(**fields: Any) -> NetworkRequest:
    return NetworkRequest(**{"driver": "macvlan", "ipv4": True, "ipv6": False, "ipam_driver": "dhcp", **fields})


def test_options() -> None:
    assert DhcpOptions.parse({}) == DhcpOptions(15, (), True)
    told = {"timeout": "5", "server": "10.0.0.1, 10.0.0.2", "hostname": "false"}
    assert DhcpOptions.parse(told) == DhcpOptions(5, ("10.0.0.1", "10.0.0.2"), False)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"tiemout": "5"}, "unknown option of the IPAM driver dhcp: tiemout: there are hostname, server, timeout"),
        ({"timeout": "0"}, "invalid timeout"),
        ({"timeout": "121"}, "invalid timeout"),
        ({"timeout": "1.5"}, "invalid timeout"),
        ({"timeout": "९"}, "invalid timeout"),
        ({"server": "fd00::1"}, "invalid server"),
        ({"server": "router"}, "invalid server"),
        ({"hostname": "yes"}, "invalid hostname"),
    ],
)
def test_options_that_are_none(options: dict[str, str], why: str) -> None:
    with pytest.raises(InvalidArgument, match=why):
        check_request(request(ipam_options=options))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"ipv6": True}, "gives IPv4 addresses alone: leave out --ipv6"),
        ({"ipv4": False}, "needs IPv4"),
        ({"driver": "ipvlan", "options": {"ipvlan_mode": "l3"}}, "ipvlan mode l3, which has no broadcast: use mode l2"),
        ({"ipam_config": (IpamConfig(subnet="0.0.0.0/24"),)}, "cannot give addresses of 0.0.0.0/24"),
        ({"ipam_config": (IpamConfig(subnet="fd00::/64"),)}, "cannot give addresses of fd00::/64"),
        ({"ipam_config": (IpamConfig(subnet="10.0.0.0/24", aux={"nas": "10.0.0.4"}),)}, "no auxiliary addresses"),
        ({"ipam_config": (IpamConfig(subnet="10.0.0.0/33"),)}, "invalid subnet"),
        ({"driver": "null"}, "the null driver has no link"),
    ],
)
def test_what_cannot_be(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(NetloomError, match=why):
        check_request(request(**fields))


def test_what_can_be() -> None:
    for driver in ("macvlan", "ipvlan", "bridge"):
        check_request(request(driver=driver, ipam_config=(IpamConfig(subnet="10.0.0.0/24", gateway="10.0.0.1"),)))


def test_a_client_is_the_same_for_its_whole_life() -> None:
    mine = client_id("n", "c")
    assert mine == client_id("n", "c")
    assert len({mine, client_id("m", "c"), client_id("n", "d")}) == 3
    assert (mine[0], mine[5:7], len(mine)) == (255, b"\x00\x04", 23)
    assert mine[1:5] == client_id("n", "d")[1:5]


def test_what_the_user_said_counts() -> None:
    bounded = network(requested=(IpamConfig(subnet="10.0.0.0/24", ip_range="10.0.0.64/26", gateway="10.0.0.254"),))
    assert outside(bounded, terms("10.0.0.70/24"), "") == ""
    assert "lies outside of 10.0.0.0/24" in outside(bounded, terms("10.0.1.70/24"), "")
    assert "lies outside of 10.0.0.64/26" in outside(bounded, terms("10.0.0.7/24"), "")
    assert outside(network(), terms("10.0.1.70/24"), "10.0.1.70") == ""
    assert (
        outside(network(), terms("10.0.1.70/24"), "10.0.1.71")
        == "offers 10.0.1.70 where 10.0.1.71 was asked for (--ip)"
    )
    assert "listens to" in outside(network(ipam_options={"server": "10.0.0.2"}), terms("10.0.0.7/24"), "")
    assert gateway(bounded, terms("10.0.0.70/24", routers=("10.0.0.1",))) == "10.0.0.254"
    assert gateway(network(), terms("10.0.0.70/24", routers=("10.0.0.1",))) == "10.0.0.1"
    assert gateway(network(), terms("10.0.0.70/24")) == ""
