"""The bytes of our rtnetlink requests, read by pyroute2: what it understands is what we meant."""

from __future__ import annotations

from typing import Any

import pytest
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from netloom.netlink import address, link, neighbour, route
from netloom.netlink.message import Message, frame


def read(kind: Any, message: Message) -> dict[str, Any]:
    """Header fields and attributes, nested ones as dictionaries."""
    decoded = kind(frame([message], 1))
    decoded.decode()
    fields = {key: value for key, value in decoded.items() if key not in ("attrs", "header")}
    return fields | tree(decoded)


def tree(decoded: Any) -> dict[str, Any]:
    return {name: nested(value) for name, value, *_ in decoded["attrs"]}


def nested(value: Any) -> Any:
    return {**value, **tree(value)} if isinstance(value, dict) and "attrs" in value else value


def test_veth() -> None:
    found = read(
        ifinfmsg,
        link.veth(
            "nl0123456789ab", 1000007, "02:00:00:00:00:01", 1450, master=1000001,
            peer_name="eth0", peer_index=2, peer_mac="02:42:ac:12:00:02", peer_netns=9,
        ),
    )  # fmt: skip
    assert (found["index"], found["flags"], found["IFLA_IFNAME"]) == (1000007, 1, "nl0123456789ab")
    assert (found["IFLA_ADDRESS"], found["IFLA_MTU"], found["IFLA_MASTER"]) == ("02:00:00:00:00:01", 1450, 1000001)
    info = found["IFLA_LINKINFO"]
    peer = info["IFLA_INFO_DATA"]["VETH_INFO_PEER"]
    assert info["IFLA_INFO_KIND"] == "veth"
    assert (peer["index"], peer["flags"], peer["IFLA_IFNAME"], peer["IFLA_MTU"]) == (2, 0, "eth0", 1450)
    assert (peer["IFLA_ADDRESS"], peer["IFLA_NET_NS_FD"]) == ("02:42:ac:12:00:02", 9)


def test_bridge() -> None:
    found = read(ifinfmsg, link.bridge("br-0123456789ab", 1000001, "02:42:01:02:03:04"))
    assert (found["index"], found["IFLA_IFNAME"]) == (1000001, "br-0123456789ab")
    assert found["IFLA_ADDRESS"] == "02:42:01:02:03:04"
    assert found["IFLA_LINKINFO"]["IFLA_INFO_KIND"] == "bridge"


def test_changes_of_a_link() -> None:
    up, down = read(ifinfmsg, link.up(5)), read(ifinfmsg, link.down(5))
    assert (up["index"], up["flags"], up["change"]) == (5, 1, 1)
    assert (down["index"], down["flags"], down["change"]) == (5, 0, 1)
    changed = read(ifinfmsg, link.change(5, mac="02:00:00:00:00:09", mtu=1400, master=7, alias="netloom x", group=3))
    assert (changed["change"], changed["IFLA_MTU"], changed["IFLA_MASTER"]) == (0, 1400, 7)
    assert (changed["IFLA_IFALIAS"], changed["IFLA_GROUP"]) == ("netloom x", 3)
    assert set(read(ifinfmsg, link.change(5))) & {"IFLA_MTU", "IFLA_MASTER", "IFLA_ADDRESS"} == set()


def test_settings_of_a_port() -> None:
    info = read(ifinfmsg, link.port(5, hairpin=True))["IFLA_LINKINFO"]
    assert info["IFLA_INFO_SLAVE_KIND"] == "bridge"
    assert info["IFLA_INFO_SLAVE_DATA"]["IFLA_BRPORT_MODE"] == 1
    assert read(ifinfmsg, link.quiet(5))["IFLA_AF_SPEC"]["AF_INET6"]["IFLA_INET6_ADDR_GEN_MODE"] == 1


def test_ipv4_address() -> None:
    found = read(ifaddrmsg, address.add(7, "172.18.0.2/16"))
    assert (found["family"], found["prefixlen"], found["index"]) == (2, 16, 7)
    assert (found["IFA_LOCAL"], found["IFA_ADDRESS"]) == ("172.18.0.2", "172.18.0.2")
    assert found["IFA_BROADCAST"] == "172.18.255.255"


@pytest.mark.parametrize("length", [31, 32])
def test_an_address_without_a_broadcast_address(length: int) -> None:
    assert "IFA_BROADCAST" not in read(ifaddrmsg, address.add(7, f"172.18.0.2/{length}"))


def test_ipv6_address_skips_duplicate_detection() -> None:
    found = read(ifaddrmsg, address.add(7, "fd00::2/64"))
    assert (found["family"], found["prefixlen"], found["flags"] & 0x02) == (10, 64, 2)
    assert found["IFA_LOCAL"] == "fd00::2"


def test_routes() -> None:
    default = read(rtmsg, route.add("default", "172.18.0.1", 2))
    assert (default["dst_len"], default["RTA_GATEWAY"], default["RTA_OIF"]) == (0, "172.18.0.1", 2)
    assert (default["table"], default["type"], default["proto"], default["scope"]) == (254, 1, 3, 0)
    default6 = read(rtmsg, route.replace("default6", "fd00::1", 2))
    assert (default6["family"], default6["dst_len"], default6["RTA_GATEWAY"]) == (10, 0, "fd00::1")
    onlink = read(rtmsg, route.add("10.9.0.0/16", "", 2))
    assert (onlink["dst_len"], onlink["RTA_DST"], onlink["scope"]) == (16, "10.9.0.0", 253)
    assert "RTA_GATEWAY" not in onlink


def test_neighbours() -> None:
    found = read(ndmsg, neighbour.correct(7, "172.18.0.2", "02:42:ac:12:00:02"))
    assert (found["ifindex"], found["state"]) == (7, neighbour.STALE)
    assert (found["NDA_DST"], found["NDA_LLADDR"]) == ("172.18.0.2", "02:42:ac:12:00:02")
    assert read(ndmsg, neighbour.delete(7, "fd00::2"))["NDA_DST"] == "fd00::2"


def test_the_life_of_an_address() -> None:
    found = read(ifaddrmsg, address.limit(2, "10.4.0.9/24", 120))
    assert (found["index"], found["prefixlen"], found["IFA_LOCAL"]) == (2, 24, "10.4.0.9")
    assert (found["IFA_CACHEINFO"]["ifa_valid"], found["IFA_CACHEINFO"]["ifa_preferred"]) == (120, 120)


@pytest.mark.parametrize("mac", ["", "02:42", "02:42:ac:11:00:zz", "02:42:ac:11:00:02:03"])
def test_a_wrong_mac_is_a_value_error(mac: str) -> None:
    with pytest.raises(ValueError):
        link.mac_bytes(mac)


@pytest.mark.parametrize("text", ["", "1.2.3", "fd00::g", "name"])
def test_a_wrong_address_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        address.split(text)
