"""Facts, ports, announcements and the ruleset of a real host."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import msgspec
import pytest

from netloom.kernel.host import HostKernel
from netloom.kernel.kernel_test import NETWORK, RULES, RealWorld, endpoint
from netloom.kernel.namespace import FdNamespace
from netloom.model.desired import Address, Bridge, HostRoute, Veth
from netloom.model.errors import KernelError
from netloom.plan.diff import diff
from netloom.testing.hosts import Host, eventually


@pytest.fixture
def world() -> Iterator[RealWorld]:
    made = RealWorld()
    yield made
    made.close()


def test_facts_of_a_host_with_an_uplink() -> None:
    with Host(uplink=True) as host:
        host.run("ip", "link", "set", "eth0", "mtu", "1400")
        host.run("ip", "route", "add", "10.7.0.0/16", "via", "198.51.100.1")
        host.run("ip", "route", "add", "blackhole", "10.8.0.0/16")
        kernel = host.call(HostKernel)
        try:
            facts = host.call(kernel.facts)
        finally:
            kernel.close()
    assert (facts.default_mtu, facts.uplinks) == (1400, ("eth0",))
    assert HostRoute("10.7.0.0/16", "eth0") in facts.routes
    assert HostRoute("198.51.100.0/24", "eth0") in facts.routes
    assert not any("default" in r.destination or r.destination.startswith("10.8.") for r in facts.routes)
    assert {"198.51.100.2", "2001:db8:ff::2", "127.0.0.1"} <= set(facts.addresses)
    assert {"lo", "eth0"} == set(facts.links)
    assert ("net/ipv4/conf/eth0/forwarding", "0") in facts.sysctls


def test_facts_tell_which_addresses_others_use() -> None:
    """By routes of whatever table, and by interfaces without any route; what is in a VRF is a world of its own."""
    with Host() as host:
        for name in ("up7", "down7", "vpn7"):
            host.run("ip", "link", "add", name, "type", "bridge")
        for name in ("up7", "vpn7"):
            host.run("ip", "link", "set", name, "up")
        host.run("ip", "addr", "add", "10.1.0.1/24", "dev", "up7")
        host.run("ip", "addr", "add", "10.2.0.1/24", "dev", "down7")
        host.run("ip", "addr", "add", "10.3.0.1/32", "dev", "lo")
        host.run("ip", "route", "add", "10.4.0.0/16", "dev", "vpn7", "table", "52")
        host.run("ip", "route", "add", "default", "dev", "vpn7", "table", "52")
        host.run("ip", "route", "add", "10.5.0.0/16", "dev", "vpn7")
        kernel = host.call(HostKernel)
        try:
            facts = host.call(kernel.facts)
        finally:
            kernel.close()
    assert set(facts.claimed) == {
        HostRoute("10.1.0.0/24", "up7"),
        HostRoute("10.2.0.0/24", "down7", "10.2.0.1/24"),
        HostRoute("10.3.0.1/32", "lo", "10.3.0.1/32"),
        HostRoute("10.4.0.0/16", "vpn7"),
        HostRoute("10.5.0.0/16", "vpn7"),
        HostRoute("127.0.0.0/8", "lo", "127.0.0.1/8"),
        HostRoute("::1/128", "lo", "::1/128"),
    }
    assert set(facts.routes) == {HostRoute("10.1.0.0/24", "up7"), HostRoute("10.5.0.0/16", "vpn7")}
    assert facts.uplinks == ()


def test_facts_leave_our_own_networks_out(world: RealWorld) -> None:
    world.apply(diff([*NETWORK, *endpoint()], []))
    facts = world.on(world.kernel.facts)
    assert (facts.default_mtu, facts.uplinks, facts.routes) == (1500, (), ())
    assert {route.link for route in facts.claimed} == {"lo"}
    assert "172.18.0.1" not in facts.addresses
    assert facts.links == {"lo"}


def neighbour_of(world: RealWorld, address: str) -> str:
    return world.inner.run("ip", "neigh", "show", address)


def test_an_announcement_changes_the_neighbours_tables(world: RealWorld) -> None:
    world.apply(diff([*NETWORK, *endpoint()], []))
    for address in ("172.18.0.77", "fd00::77"):
        if ":" in address:
            world.inner.sysctl("net/ipv6/conf/eth0/disable_ipv6", "0")
        world.inner.run("ip", "neigh", "add", address, "lladdr", "02:00:00:00:00:01", "dev", "eth0", "nud", "stale")
        world.on(lambda a=address: world.kernel.announce("br-1", "02:42:ac:12:00:77", [a]))  # type: ignore[misc]
        eventually(lambda a=address: "02:42:ac:12:00:77" in neighbour_of(world, a), what=address)  # type: ignore[misc]


def test_an_address_lives_as_long_as_it_is_given(world: RealWorld) -> None:
    world.apply(diff([*NETWORK, *endpoint()], []))
    (address,) = [o for o in world.observe_sandbox() if isinstance(o, Address) and "." in o.address]
    for seconds in (1, 0xFFFFFFFF, 1):
        world.on(lambda given=seconds: world.kernel.limit_address(world.box, address.index, address.address, given))
        assert address in world.observe_sandbox()
    eventually(lambda: address not in world.observe_sandbox(), what="its end")
    gone = FdNamespace(-1)
    world.on(lambda: world.kernel.limit_address(gone, address.index, address.address, 1))


def test_the_inner_end_may_be_narrower(world: RealWorld) -> None:
    (veth,) = [o for o in endpoint() if isinstance(o, Veth)]
    world.apply(diff([*NETWORK, *endpoint()], []))
    narrow = msgspec.structs.replace(veth, peer_mtu=1300)
    world.apply(diff([narrow], [veth]))
    (inside,) = [o for o in world.observe_sandbox() if isinstance(o, Veth)]
    assert inside.mtu == 1300


def test_a_frame_out_of_a_link(world: RealWorld) -> None:
    world.apply(diff([*NETWORK, *endpoint()], []))
    frame = b"\xff" * 6 + bytes.fromhex("020000000001") + b"\x88\xb5" + b"hello".ljust(46, b"\0")
    bridge = next(o.name for o in NETWORK if isinstance(o, Bridge))

    def arrives(heard: socket.socket) -> bool:
        world.on(lambda: world.kernel.send_frame(bridge, frame))
        try:
            return heard.recv(2048) == frame
        except TimeoutError:
            return False  # the bridge's port has no carrier yet

    with world.inner.call(_hearing) as heard:
        eventually(lambda: arrives(heard), what="the frame")
    world.on(lambda: world.kernel.send_frame("gone0", frame))


def _hearing() -> socket.socket:
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88B5))
    made.settimeout(0.2)
    return made


def test_an_announcement_on_a_bridge_that_has_gone_is_nobodys_failure(world: RealWorld) -> None:
    world.on(lambda: world.kernel.announce("br-none", "02:42:ac:12:00:77", ["172.18.0.77"]))


def test_the_ruleset_is_loaded_when_absent_or_of_another_version_only(world: RealWorld) -> None:
    assert not world.on(world.kernel.ensure_ruleset)
    world.apply(diff(NETWORK, []))
    assert not world.on(world.kernel.ensure_ruleset)
    assert diff(NETWORK, world.observe()) == []
    world.host.run("nft", "flush", "ruleset")
    steps = diff(NETWORK, world.observe())
    assert {s.verb for s in steps} == {"add"}
    world.apply(steps)
    assert diff(NETWORK, world.observe()) == []
    for family in ("inet", "bridge"):
        world.host.run("nft", "delete", "set", family, "netloom", RULES.version)
        assert world.on(world.kernel.ensure_ruleset)


def test_a_flushed_ruleset_does_not_stop_the_next_attach(world: RealWorld) -> None:
    world.apply(diff(NETWORK, []))
    world.host.run("nft", "flush", "ruleset")
    world.apply(diff(endpoint(), []))
    assert endpoint()[0] in world.observe()
    assert diff([*NETWORK, *endpoint()], [*world.observe(), *world.observe_sandbox()]) != []  # until the repair


def test_a_ruleset_that_nft_refuses(world: RealWorld) -> None:
    kernel = world.on(lambda: HostKernel(RULES._replace(version="version_2", text="table inet netloom { nonsense }")))
    try:
        with pytest.raises(KernelError, match=r"(?s)load the nftables ruleset.*nonsense"):
            world.on(kernel.ensure_ruleset)
    finally:
        kernel.close()


def test_what_is_not_ours_is_not_observed(world: RealWorld) -> None:
    world.host.run("ip", "-batch", "-", stdin="link add br-2 type bridge\nlink add vethx type veth peer name nlx\n")
    world.host.run("nft", "-f", "-", stdin="table inet other { set bridges { type ifname; elements = { a }; }; }")
    world.host.run("nft", "-f", "-", stdin="""table inet netloom {
        set ranges { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 }; }
        chain c { tcp dport { 1, 2 } accept; }
    }""")  # fmt: skip
    assert world.observe() == []
