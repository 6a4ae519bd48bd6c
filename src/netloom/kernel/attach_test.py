"""What an attach looks like on the real kernel, beyond what the shared suite asks: packets, limits, cost."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from netloom.kernel.kernel_test import BOX, BRIDGE, NETWORK, RealWorld, endpoint, veth
from netloom.kernel.namespace import FdNamespace
from netloom.model.desired import Address, Desired, Element, Neighbour, Route, Step, Sysctl
from netloom.model.errors import Exhausted, KernelError
from netloom.plan.diff import absent, diff
from netloom.testing.hosts import Netns


@pytest.fixture
def world() -> Iterator[RealWorld]:
    made = RealWorld()
    made.apply(diff(NETWORK, []))
    yield made
    made.close()


def crowded(number: int) -> list[Desired]:
    """One of very many endpoints, all in one sandbox, without addresses."""
    link = veth(
        2,
        name=f"nl{number:012x}",
        index=1000000 + number,
        mac=f"02:43:00:00:{number >> 8:02x}:{number & 255:02x}",
        peer_name=f"eth{number}",
        peer_index=number,
        peer_mac=f"02:44:00:00:{number >> 8:02x}:{number & 255:02x}",
    )
    ip = f"172.18.{number >> 8}.{number & 255}"
    member = Element("bridges", f"x{number}".encode().ljust(16, b"\0"))
    return [member, link, Neighbour("br-1", 1000001, ip, link.peer_mac)]


def test_the_host_reaches_the_container_and_back(world: RealWorld) -> None:
    world.apply(diff(endpoint(), []))
    with world.inner.serve("0.0.0.0", 80):
        assert world.host.ask("172.18.0.2", 80).address == "172.18.0.1"
    with world.host.serve("0.0.0.0", 81):
        assert world.inner.ask("172.18.0.1", 81).address == "172.18.0.2"
    shown = world.inner.run("ip", "-4", "addr", "show", "eth0")
    assert "inet 172.18.0.2/16 brd 172.18.255.255 scope global eth0" in shown
    assert world.inner.run("ip", "route").splitlines()[0].split() == "default via 172.18.0.1 dev eth0".split()


def test_an_address_taken_again_with_another_mac_is_reached_at_once(world: RealWorld) -> None:
    world.apply(diff(endpoint(), []))
    with world.inner.serve("0.0.0.0", 80):
        world.host.ask("172.18.0.2", 80)
    world.host.run("ip", "link", "del", "nl000000000002")  # and the host goes on remembering
    world.host.run(
        "ip", "neigh", "replace", "172.18.0.2", "lladdr", "02:42:ac:12:00:02", "dev", "br-1", "nud", "reachable"
    )
    other = "02:42:ac:12:00:99"
    link, neighbour = veth(2, peer_mac=other), Neighbour("br-1", 1000001, "172.18.0.2", other)
    world.apply(diff([link, neighbour, *endpoint()[3:]], []))
    with world.inner.serve("0.0.0.0", 80):
        # A bridge carries nothing until the kernel has noticed its new port, up to a second; a stale entry lasts 45.
        assert world.host.ask("172.18.0.2", 80, timeout=10).address == "172.18.0.1"


def test_an_endpoint_that_nobody_has_asked_for_takes_no_place_in_the_machines_neighbour_table(world: RealWorld) -> None:
    world.apply(diff(endpoint(), []))
    assert world.host.run("ip", "neigh", "show", "172.18.0.2") == ""


def test_a_fenced_endpoint_exchanges_no_packet(world: RealWorld) -> None:
    world.apply(diff(endpoint(), []))
    with world.inner.serve("0.0.0.0", 80):
        world.host.ask("172.18.0.2", 80)
        world.apply(absent(endpoint()))
        assert world.host.misses("172.18.0.2", 80)


def test_ipv6_is_off_where_it_was_not_asked_for(world: RealWorld) -> None:
    world.apply(diff(endpoint(), []))
    assert "inet6" not in world.host.run("ip", "-6", "addr", "show", "dev", "br-1")
    assert "inet6" not in world.host.run("ip", "-6", "addr", "show", "dev", "nl000000000002")
    assert "inet6" not in world.inner.run("ip", "-6", "addr", "show", "dev", "eth0")
    assert world.inner.sysctl("net/ipv6/conf/eth0/disable_ipv6") == "1"


def test_a_network_too_narrow_for_ipv6(world: RealWorld) -> None:
    bridge = type(BRIDGE)("br-2", 1000009, "02:42:00:00:00:09", 1000, "netloom 2")
    link = veth(3, mtu=1000, master="br-2", master_index=1000009)
    world.apply(diff([bridge, link, Address("eth1", 3, "172.19.0.3/16", BOX)], []))
    found = {o.key: o for o in world.observe()}
    assert diff([bridge, link], [found[bridge.key], found[link.key]]) == []


def test_a_new_endpoint_is_not_heard_by_the_others(world: RealWorld) -> None:
    """Each frame that an attach floods costs as much as there are ports."""
    world.apply(diff(endpoint(), []))
    listener = world.inner.call(socket.socket, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x86DD))
    with listener, Netns() as other:
        listener.settimeout(1.5)  # IPv6 autoconfiguration speaks within a second
        box = FdNamespace(os.dup(other.fd))
        link = veth(3, sandbox="c" * 64)
        world.on(lambda: world.kernel.apply(diff([link], []), {link.sandbox: box}))
        box.close()
        with pytest.raises(TimeoutError):
            listener.recv(2048)


def test_ipv6_where_it_was(world: RealWorld) -> None:
    link = veth(2, peer_ipv6=True)
    box: list[Desired] = [link, Address("eth0", 2, "fd00::2/64", BOX), Route("default6", "fd00::1", "eth0", 2, BOX)]
    bridge = type(BRIDGE)(BRIDGE.name, BRIDGE.index, BRIDGE.mac, BRIDGE.mtu, BRIDGE.alias, ipv6=True)
    world.apply([Step("set", bridge), Step("add", Address("br-1", 1000001, "fd00::1/64"))])
    world.apply(diff(box, []))
    with world.inner.serve("::", 80):
        assert world.host.ask("fd00::2", 80).address == "fd00::1"
    assert "default via fd00::1 dev eth0" in world.inner.run("ip", "-6", "route")
    assert "inet6" not in world.host.run("ip", "-6", "addr", "show", "dev", "nl000000000002")
    assert diff([bridge], [o for o in world.observe() if o.key == bridge.key]) == []


def test_settings_inside_are_in_place(world: RealWorld) -> None:
    path = "net/ipv4/conf/eth0/accept_redirects"
    world.apply(diff([*endpoint(), Sysctl(path, "0", BOX)], []))
    assert world.inner.sysctl(path) == "0"
    with pytest.raises(KernelError, match=r"add sysctl net/ipv4/conf/eth0/nothing: not found \("):
        world.apply([Step("add", Sysctl("net/ipv4/conf/eth0/nothing", "0", BOX))])
    with pytest.raises(KernelError, match=r"invalid argument \(net/ipv4/conf/eth0/rp_filter = x\)"):
        world.apply([Step("add", Sysctl("net/ipv4/conf/eth0/rp_filter", "x", BOX))])


def test_a_setting_on_the_host_goes_back_to_a_new_interfaces(world: RealWorld) -> None:
    path = "net/ipv4/conf/br-1/route_localnet"
    world.apply([Step("add", Sysctl(path, "1"))])
    assert world.host.sysctl(path) == "1"
    world.apply([Step("del", Sysctl(path, "1"))])
    assert world.host.sysctl(path) == "0"


def test_a_route_of_somebody_else_on_the_host_is_not_overwritten(world: RealWorld) -> None:
    world.host.run("ip", "route", "add", "10.50.0.0/16", "via", "172.18.0.9")
    with pytest.raises(KernelError, match=r"add route 10\.50\.0\.0/16: file exists"):
        world.apply([Step("add", Route("10.50.0.0/16", "172.18.0.8", "br-1", 1000001))])
    world.apply([Step("add", Route("10.50.0.0/16", "172.18.0.9", "br-1", 1000001))])
    assert "172.18.0.9" in world.host.run("ip", "route", "show", "10.50.0.0/16")


def test_a_missing_set_is_named(world: RealWorld) -> None:
    with pytest.raises(KernelError, match="add element netloom nothing: not found"):
        world.apply([Step("add", Element("nothing", bytes(16)))])


def test_hundreds_of_elements_some_of_which_stand(world: RealWorld) -> None:
    def at(number: int, data: int) -> Element:
        return Element(
            "published4", b"\6\0\0\0" + number.to_bytes(2, "big") + b"\0\0", value=bytes([10, 0, 0, data] * 2)
        )

    world.apply([Step("add", at(n, 1)) for n in range(0, 700, 7)])
    world.apply([Step("add", at(n, 2)) for n in range(700)])
    found = {o.key_data: o.value for o in world.observe() if isinstance(o, Element) and o.set == "published4"}
    assert found == {at(n, 2).key_data: at(n, 2).value for n in range(700)}
    world.apply([Step("del", at(n, 2)) for n in range(900)])
    assert not [o for o in world.observe() if isinstance(o, Element) and o.set == "published4"]


def test_attach_costs_the_same_however_many_stand_and_the_1024th_port_is_refused(world: RealWorld) -> None:
    costs: set[int] = set()

    def fill() -> None:
        for number in range(2, 1025):
            steps = diff(crowded(number), [])
            before = world.kernel.messages_sent
            world.kernel.apply(steps, {BOX: world.box})
            costs.add(world.kernel.messages_sent - before)

    world.on(fill)
    assert len(costs) == 1
    with pytest.raises(Exhausted, match="bridge br-1 has 1023 ports"):
        world.apply(diff(crowded(1025), []))
    assert f"nl{1025:012x}" not in world.host.run("ip", "-o", "link")
