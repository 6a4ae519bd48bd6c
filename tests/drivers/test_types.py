"""S5, S6, S9, S13, S14, S20 to S23: what each type of network is, on real containers; its programs cannot tell."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from capture import ARP, Capture
from machines import address_of, network

from netloom.testing.checker import check
from netloom.testing.daemons import Daemon
from netloom.testing.hosts import OUTSIDE4, OUTSIDE6, Host, Netns
from netloom.testing.kinds import need

pytestmark = pytest.mark.kernel

SLEEP = ("host", "sleep", "600")
PROGRAM = Path(__file__).parent / "inside.py"
L3 = "10.98.0.0/16"


class Type(NamedTuple):
    """How a network of a type is made on the host's uplink; `needs` are kinds that a kernel may lack."""

    flags: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    on_lan: bool = False


LAN = ("-o", "parent=eth0", "--subnet", "198.51.100.0/24", "--gateway", OUTSIDE4, "--ip-range", "198.51.100.64/27")
ROUTED = ("-o", "parent=eth0", "-o", "ipvlan_mode=l3", "--subnet", "10.98.1.0/24")
ROUTED_L3S = ("-o", "parent=eth0", "-o", "ipvlan_mode=l3s", "--subnet", "10.98.1.0/24")
TYPES = {
    "bridge": Type(("-d", "bridge")),
    "macvlan": Type(("-d", "macvlan", *LAN), ("macvlan",), on_lan=True),
    "ipvlan-l2": Type(("-d", "ipvlan", *LAN), ("ipvlan",), on_lan=True),
    "ipvlan-l3": Type(("-d", "ipvlan", *ROUTED), ("ipvlan",)),
    "ipvlan-l3s": Type(("-d", "ipvlan", *ROUTED_L3S), ("ipvlan",)),
}


@contextmanager
def container(daemon: Daemon, name: str, *flags: str) -> Iterator[Netns]:
    """It runs; its namespace."""
    daemon.docker("run", "-d", "--name", name, *flags, *SLEEP)
    try:
        with Netns.of(daemon.inspect(name)["State"]["Pid"]) as box:
            yield box
    finally:
        daemon.docker("rm", "-f", name)


def told_inside(daemon: Daemon, host: Host, on: str) -> dict[str, Any]:
    """What the program finds on a network."""
    run = ("run", "--rm", "--network", on, "--add-host", f"peer:{OUTSIDE4}", "-v", f"{PROGRAM}:/program.py:ro")
    with host.outside.serve("0.0.0.0", 80), host.outside.serve("0.0.0.0", 80, "udp"):
        found: dict[str, Any] = json.loads(daemon.docker(*run, "host", "python3", "/program.py"))
        return found


@pytest.fixture
def routed(host: Host) -> Iterator[None]:
    """The router outside knows the way to subnets behind the host."""
    host.outside.run("ip", "route", "add", L3, "via", host.address4)
    yield
    host.outside.run("ip", "route", "del", L3)


@pytest.fixture(scope="module")
def on_bridge(daemon: Daemon, host: Host) -> dict[str, Any]:
    """What the program finds where most containers are."""
    with network(daemon, "ty-plain", *TYPES["bridge"].flags):
        return told_inside(daemon, host, "ty-plain")


@pytest.mark.usefixtures("routed")
@pytest.mark.parametrize("kind", [*TYPES, "host"])
def test_s6_nothing_but_the_interface_differs(daemon: Daemon, host: Host, on_bridge: dict[str, Any], kind: str) -> None:
    if kind == "host":
        found = told_inside(daemon, host, "host")
    else:
        for lacking in TYPES[kind].needs:
            need(lacking)
        with network(daemon, "ty-same", *TYPES[kind].flags):
            found = told_inside(daemon, host, "ty-same")
    assert found.pop("address") != OUTSIDE4
    expected = {key: value for key, value in on_bridge.items() if key != "address"}
    if kind == "host":  # the one that is not apart: all interfaces of the host are there, eth0 among them
        assert "eth0" in found["interfaces"]
        found["interfaces"] = expected["interfaces"]
    assert found == expected
    assert expected == {
        "loopback": True,
        "interfaces": ["eth0"],
        "default route": True,
        "routes": True,
        "name servers": True,
        **dict.fromkeys(("tcp", "udp", "full_frame", "serves", "from_a_chosen_port"), True),
    }


def test_s5_only_none_leaves_interface_address_gateway_and_routes_out(daemon: Daemon, host: Host) -> None:
    found = told_inside(daemon, host, "none")
    assert (found["loopback"], found["interfaces"], found["routes"], found["default route"]) == (True, [], False, False)
    assert {found[what] for what in ("address", "tcp", "udp", "serves")} == {"OSError"}  # network is unreachable
    with container(daemon, "ty-none", "--network", "none") as box:
        links = json.loads(box.run("ip", "-j", "addr"))
        assert [(link["ifname"], [a["local"] for a in link["addr_info"]]) for link in links] == [
            ("lo", ["127.0.0.1", "::1"])
        ]
    shown = daemon.docker("run", "--rm", "--network", "none", "host", "cat", "/proc/net/if_inet6")
    assert all(line.endswith(" lo") for line in shown.splitlines())


def test_s13_host_is_the_hosts_own_stack(daemon: Daemon, host: Host) -> None:
    with container(daemon, "ty-host", "--network", "host") as box:
        assert box.run("ip", "-j", "link") == host.run("ip", "-j", "link")
        assert box.run("readlink", "/proc/self/ns/net") == host.run("readlink", "/proc/self/ns/net")
        with box.serve("0.0.0.0", 18099):
            assert host.outside.ask(host.address4, 18099).address == OUTSIDE4  # unpublished, untranslated
            with pytest.raises(OSError, match="in use"), host.serve("0.0.0.0", 18099):
                pass
        with host.outside.serve("0.0.0.0", 80):
            assert box.ask(OUTSIDE4, 80).address == host.address4
    told = daemon.docker("run", "--rm", "--network", "host", "-p", "18099:80", "host", "true", check=False)
    assert "Published ports are discarded when using host network mode" in told


def test_s14_none_has_no_traffic_with_anybody(daemon: Daemon, host: Host) -> None:
    with (
        container(daemon, "ty-none", "--network", "none") as box,
        container(daemon, "ty-other", "--network", "none") as other,
        container(daemon, "ty-bridge") as beside,
        box.serve("0.0.0.0", 80),
        beside.serve("0.0.0.0", 80),
    ):
        bridged = address_of(daemon, "ty-bridge", "bridge")
        assert box.ask("127.0.0.1", 80).address == "127.0.0.1"
        for target in (host.address4, OUTSIDE4, bridged):
            with pytest.raises(OSError, match="unreachable"):
                box.ask(target, 80)
        assert box.run("cat", "/proc/net/dev").count(":") == 1
        assert other.misses("127.0.0.1", 80)
        told = daemon.docker("network", "connect", "bridge", "ty-none", check=False)
        assert "multiple networks with one of the networks in private (none) mode" in told
        assert check(daemon) == []


class Row(NamedTuple):
    """A row of the table: who reaches the container, and what it shares with its host."""

    type: str
    other_host: bool  # a container of another daemon, on a network of the same type and subnet
    host: bool  # the host, and the host's other programs
    own_stack: bool
    names: bool  # of containers beside it


TABLE = [
    Row("bridge", other_host=False, host=True, own_stack=True, names=True),
    Row("host", other_host=True, host=True, own_stack=False, names=False),
    Row("overlay", other_host=True, host=False, own_stack=True, names=True),
    Row("ipvlan", other_host=True, host=False, own_stack=True, names=True),
    Row("macvlan", other_host=True, host=False, own_stack=True, names=True),
    Row("none", other_host=False, host=False, own_stack=True, names=False),
]


@pytest.fixture(scope="module")
def second(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon on another host of the same LAN."""
    with (
        Host(outside=host.outside, number=3) as other,
        Daemon(other, tmp_path_factory.mktemp("second")) as daemon,
    ):
        yield daemon


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.type)
def test_s9_the_six_types(daemon: Daemon, second: Daemon, row: Row) -> None:
    if row.type == "overlay":
        told = daemon.docker("network", "create", "-d", "overlay", "ty-over", check=False)
        assert "network driver overlay is not supported yet" in told
        return
    if row.type in ("host", "none"):
        found = [_row(daemon, second, row, row.type, row.type)]
    else:
        need(row.type) if row.type != "bridge" else None
        flags = {"bridge": ("--subnet", "10.94.0.0/24")}.get(row.type, LAN)
        with network(daemon, "ty-six", "-d", row.type, *flags), network(second, "ty-six", "-d", row.type, *flags):
            far = "198.51.100.70" if row.type != "bridge" else "10.94.0.70"
            found = [_row(daemon, second, row, "ty-six", far)]
    assert found == [row]
    assert check(daemon) == []


def _row(daemon: Daemon, second: Daemon, row: Row, on: str, far: str) -> Row:
    """The row as it is measured. `far` is the address of the container on the second host."""
    kind = row.type
    fixed = () if kind in ("host", "none") else ("--ip", far)
    with (
        container(daemon, "ty-six", "--network", on) as here,
        container(second, "ty-far", "--network", on, *fixed) as there,
        there.serve("0.0.0.0", 18080),
        here.serve("0.0.0.0", 18081),
    ):
        own_stack = here.run("readlink", "/proc/self/ns/net") != daemon.host.run("readlink", "/proc/self/ns/net")
        target = second.host.address4 if kind == "host" else far if fixed else "198.51.100.3"
        own = daemon.host.address4 if kind == "host" else address_of(daemon, "ty-six", on)
        return Row(
            kind,
            other_host=here.reaches(target, 18080) if row.other_host else not here.misses(target, 18080),
            host=bool(own) and (daemon.host.reaches(own, 18081) if row.host else not daemon.host.misses(own, 18081)),
            own_stack=own_stack,
            names=_resolves(daemon, "ty-six", "ty-six"),
        )


def _resolves(daemon: Daemon, name: str, target: str) -> bool:
    return daemon.docker_run("exec", name, "getent", "hosts", target).returncode == 0


def test_s20_ipvlan_addresses_of_both_families_are_the_users(daemon: Daemon, host: Host) -> None:
    need("ipvlan")
    six = ("--ipv6", "--subnet", "2001:db8:ff::/64", "--gateway", OUTSIDE6, "--ip-range", "2001:db8:ff::4000/116")
    taken = ("--aux-address", "nas=198.51.100.64", "--aux-address", "nas6=2001:db8:ff::4000")
    with network(daemon, "ty-s20", "-d", "ipvlan", *LAN, *six, *taken):
        chosen = ("--ip", "198.51.100.99", "--ip6", "2001:db8:ff::99")
        with (
            container(daemon, "ty-one", "--network", "ty-s20") as box,
            container(daemon, "ty-two", "--network", "ty-s20", *chosen) as two,
        ):
            shown = daemon.inspect("ty-one")["NetworkSettings"]["Networks"]["ty-s20"]
            assert (shown["IPAddress"], shown["GlobalIPv6Address"]) == ("198.51.100.65", "2001:db8:ff::4001")
            assert (shown["Gateway"], shown["IPv6Gateway"]) == (OUTSIDE4, OUTSIDE6)
            shown = daemon.inspect("ty-two")["NetworkSettings"]["Networks"]["ty-s20"]
            assert (shown["IPAddress"], shown["GlobalIPv6Address"]) == ("198.51.100.99", "2001:db8:ff::99")
            for where, addresses in ((box, ("198.51.100.65", "2001:db8:ff::4001")), (two, chosen[1::2])):
                with where.serve("0.0.0.0", 80), where.serve("::", 80):
                    for address in addresses:
                        assert host.outside.ask(address, 80).address in (OUTSIDE4, OUTSIDE6)
            assert two.ping("198.51.100.65")
            assert two.ping("2001:db8:ff::4001")
            assert check(daemon) == []


@pytest.mark.parametrize("kind", ["macvlan", "ipvlan"])
def test_s21_the_tag_of_the_vlan_is_the_users(daemon: Daemon, host: Host, kind: str) -> None:
    need("vlan")
    need(kind)
    script = "link add link wan name wan.7 type vlan id 7\naddr add 10.97.0.1/24 dev wan.7\nlink set wan.7 up\n"
    host.outside.run("ip", "-batch", "-", stdin=script)
    flags = ("-d", kind, "-o", "parent=eth0.7", "--subnet", "10.97.0.0/24", "--gateway", "10.97.0.1")
    with network(daemon, "ty-s21", *flags), Capture(host, "eth0") as wire:
        with container(daemon, "ty-one", "--network", "ty-s21", "--ip", "10.97.0.9") as box:
            assert box.ping("10.97.0.1")
            out = wire.wait(lambda f: f.outgoing and f.sender == "10.97.0.9", "a frame of the container")
            back = wire.wait(lambda f: not f.outgoing and f.sender == "10.97.0.1", "the answer of the router")
            assert (out.vlan, back.vlan) == (7, 7)
        assert not [f for f in wire.frames if f.sender == "10.97.0.9" and f.vlan != 7]
    host.outside.run("ip", "link", "del", "wan.7")


@pytest.mark.usefixtures("routed")
def test_s22_ipvlan_l3_routes(daemon: Daemon, host: Host) -> None:
    need("ipvlan")
    with (
        network(daemon, "ty-s22", "-d", "ipvlan", *ROUTED, "--subnet", "10.98.2.0/24"),
        Capture(host, "eth0") as wire,
    ):
        with (
            container(daemon, "ty-one", "--network", "ty-s22", "--ip", "10.98.1.9") as one,
            container(daemon, "ty-two", "--network", "ty-s22", "--ip", "10.98.2.9") as two,
        ):
            assert one.ping("10.98.2.9")  # between subnets, without a router
            with two.serve("0.0.0.0", 80):
                assert host.outside.ask("10.98.2.9", 80).address == OUTSIDE4
            assert one.run("ip", "route", "show", "default").strip() == "default dev eth0 scope link"
            assert check(daemon) == []
        assert not [f for f in wire.frames if f.ethertype == ARP and f.sender.startswith("10.98.")]  # nor broadcast


def test_s23_macvlan_is_a_device_on_the_lan(daemon: Daemon, host: Host) -> None:
    mac = "02:11:22:33:99:01"
    with network(daemon, "ty-s23", "-d", "macvlan", *LAN), Capture(host, "eth0") as wire:
        asked = ("--network", "ty-s23", "--mac-address", mac, "--ip", "198.51.100.98")
        with container(daemon, "ty-one", *asked) as box:
            assert daemon.docker("exec", "ty-one", "cat", "/sys/class/net/eth0/address") == mac
            assert json.loads(box.run("ip", "-j", "link", "show", "eth0"))[0]["link_type"] == "ether"
            with box.serve("0.0.0.0", 80):
                assert host.outside.ask("198.51.100.98", 80).address == OUTSIDE4
            arp = wire.wait(lambda f: f.outgoing and f.ethertype == ARP and f.sender == "198.51.100.98", "its ARP")
            assert arp.source == mac
            # A legacy program speaks raw frames of its own, and hears those of others.
            with Capture(box, "eth0") as heard:
                host.outside.call(_shout)
                assert (
                    heard.wait(lambda f: f.ethertype == 0x88B5, "a frame of another protocol").target
                    == "ff:ff:ff:ff:ff:ff"
                )
        assert not [f for f in wire.frames if f.outgoing and f.sender == "198.51.100.98" and f.source != mac]


def _shout() -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as raw:
        raw.bind(("wan", 0))
        raw.send(b"\xff" * 6 + raw.getsockname()[4] + b"\x88\xb5" + bytes(46))
